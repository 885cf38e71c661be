using System.Runtime.CompilerServices;

// Every P/Invoke of this project passes blittable values only, so calls need no marshalling stubs.
[assembly: DisableRuntimeMarshalling]
[assembly: InternalsVisibleTo("SoftSgx.Host.Tests")]
