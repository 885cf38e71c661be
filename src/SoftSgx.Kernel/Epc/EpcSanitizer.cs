namespace SoftSgx.Kernel;

/// <summary>
/// Makes every EPC page invalid before the first is handed out: whoever ran before may have left enclaves behind.
/// Behaviour: __sgx_sanitize_pages in arch/x86/kernel/cpu/sgx/main.c.
/// </summary>
internal static class EpcSanitizer
{
    /// <summary>
    /// Two passes of EREMOVE, because a SECS can go only after its children; what resists is withheld from the pool.
    /// </summary>
    /// <param name="encls">The leaves.</param>
    /// <param name="pool">The pool, all pages of it free.</param>
    public static void Run(IEncls encls, EpcPool pool)
    {
        List<int> secsPages = [];
        for (int page = 0; page < pool.Total; page++)
        {
            if (!encls.ERemove(page).IsSuccess)
            {
                secsPages.Add(page);
            }
        }

        foreach (int page in secsPages)
        {
            if (!encls.ERemove(page).IsSuccess)
            {
                pool.Poison(page);
            }
        }
    }
}
