using System.Runtime.CompilerServices;
using System.Runtime.Versioning;

// Every P/Invoke of this project passes blittable values only, so calls need no marshalling stubs.
[assembly: DisableRuntimeMarshalling]
[assembly: SupportedOSPlatform("linux")]
[assembly: InternalsVisibleTo("SoftSgx.Host.Tests")]
[assembly: InternalsVisibleTo("SoftSgx.Bench")]
