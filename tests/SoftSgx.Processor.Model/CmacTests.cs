namespace SoftSgx.Processor.Model;

/// <summary>The one algorithm of the model that is not the platform's, against RFC 4493, section 4.</summary>
public sealed class CmacTests
{
    private const string Key = "2b7e151628aed2a6abf7158809cf4f3c";

    [Theory]
    [InlineData("", "bb1d6929e95937287fa37d129b756746")]
    [InlineData("6bc1bee22e409f96e93d7e117393172a", "070a16b46b4d4144f79bdd9dd04a287c")]
    [InlineData("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411", "dfa66747de9ae63030ca32611497c827")]
    public void MatchesTheVectors(string message, string mac) =>
        Assert.Equal(mac, Convert.ToHexStringLower(Cmac.Of(Convert.FromHexString(Key), Convert.FromHexString(message))));
}
