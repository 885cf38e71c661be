namespace SoftSgx.Images;

/// <summary>An enclave as it is built: what ECREATE is told, and every page that EADD adds, in the order in which it is added.</summary>
/// <param name="Size">SECS.SIZE in bytes.</param>
/// <param name="SsaFrameSize">SECS.SSAFRAMESIZE in pages.</param>
/// <param name="Runs">
/// The pages, in the order of building. Can be enumerated more than once; a large file is read anew each time, and then throws
/// <see cref="ImageException"/> at the place that is wrong.
/// </param>
public sealed record EnclaveLayout(ulong Size, uint SsaFrameSize, IEnumerable<PageRun> Runs);
