using System.Globalization;
using System.Numerics;

namespace SoftSgx.Images.Tests;

/// <summary>Two keys, made of fixed primes. They are for these tests and guard nothing.</summary>
internal static class Keys
{
    private const string FirstP =
        "f04a353221f20e5ba7fd24dffbad9dfda45c110d8ca3d51b8232929c8996aadc9cd9bd4341107d8f2b945a9fc2f7b560" +
        "c4985832925257e54d9e71803f4c903317809aef1673b9e909b8039970d2423a84f5eab7dd8ebad93e922648dec1468f" +
        "63015e19eacee187fa915f703300f6b198910539e1be2516e1d44499282524a7ff840f777af339262574998340a77ea6" +
        "fe4693ac43f81307dc2965d5d9d6f2fccfd49939c3576b4898171c6d68c32695a38fa9a38b71b7113aa50d2aa01d0a77";

    private const string FirstQ =
        "e76bae7975d3b45e0256cf418daed426981c9861248641a5bd0409ccedf9e1db3617c2ded180e72c91a6be8d0c2d8fa4" +
        "d6edc9201ce408764fbac17cf0c5e96d2e6567e7233d55bb1377c3382c505dfa7431470f809f7a1135407fd19b21c835" +
        "62b5e93ca47f11769a1c48b27b90ad161d041883a22436ac9449a12820122661b644c3453c383076579f7475b4b02fb1" +
        "deeeaa2789d56a4ba0d073c5cc56806138cfdd2acfe9950e3345d2669d86e50ccd8729421b01295d2bbf00f658db81d1";

    private const string SecondP =
        "d71361d8ee7aefd2dd6dd360488a9d4411bcc4423484a736073345e744c3bcb578bdbc52e485c723c9c9c4cc16a42dc4" +
        "ff2a38277c6e5bc16c08ed129d117b10fad25e955bebdfe9557f546dd4765df86ff326dda63fd2ad258a87b684ae465a" +
        "bd716f99cd22ca60ec09f50759b13be612a8ea85987ccdf1f7c6e4d7cd3b398665d4ba6b6fb62e015d5539b485d9498d" +
        "246bd5cd69a14d7267880914be2ac69c8763399e627a89f3c3aaa3550a75db75f63010334389047a407fb7f6778f8e01";

    private const string SecondQ =
        "c6b6993f3b4c30ba7986c6ad6876695d0102b8627be99e1cd9c03d6952ac773b22242eaa921c43e073bc5b9d1cec0ae0" +
        "bb1228be3530bd4318f0f7a36fc4e77553408882265ea401e635b1d0373b3a5c9ac81791292ba37406b8af6a32773819" +
        "a976acb254a9e0f186d665f84126a37dab1863285c87def1899a1a3d7509961fa44dffd81293509dc0953d870f9a1f7a" +
        "aa093fd399a2ae4cad3650fc70f6d23f716e74b93647e44749f4dbd61995d6bf82fd85fd3c905bef4caea36ad897b043";

    public static SigningKey First { get; } = Of(FirstP, FirstQ);

    public static SigningKey Second { get; } = Of(SecondP, SecondQ);

    private static SigningKey Of(string p, string q) => SigningKey.FromParameters(KeyGenerator.Combine(Number(p), Number(q)));

    private static BigInteger Number(string hex) => BigInteger.Parse("0" + hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
