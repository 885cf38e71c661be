/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SAMPLES_VDSO_H
#define SAMPLES_VDSO_H

/* A function of the vDSO, or NULL. */
void *vdso_symbol(const char *name);

#endif
