using SoftSgx.Host.Enclaves;
using SoftSgx.Kernel;

namespace SoftSgx.Host.Tests.Enclaves;

/// <summary>The list of enclave mappings of an address space, against an array of pages.</summary>
public sealed class EnclaveMappingsTests
{
    private const ulong Page = 4096;
    private const int Pages = 64;

    private static readonly OpenEnclave s_first = new(null!, null!);
    private static readonly OpenEnclave s_second = new(null!, null!);

    [Fact]
    public void A_mapping_is_found_from_its_first_to_its_last_byte()
    {
        EnclaveMappings mappings = new();
        mappings.Add(new EnclaveMapping(2 * Page, 4 * Page, PageProtection.Read, s_first));
        Assert.False(mappings.TryFind((2 * Page) - 1, out _));
        Assert.True(mappings.TryFind(2 * Page, out EnclaveMapping found));
        Assert.Equal(4 * Page, found.End);
        Assert.True(mappings.TryFind((4 * Page) - 1, out _));
        Assert.False(mappings.TryFind(4 * Page, out _));
    }

    [Fact]
    public void A_copy_is_independent()
    {
        EnclaveMappings mappings = new();
        mappings.Add(new EnclaveMapping(0, 4 * Page, PageProtection.Read, s_first));
        EnclaveMappings copy = mappings.Copy();
        mappings.Remove(0, 4 * Page);
        Assert.Equal(0, mappings.Count);
        Assert.True(copy.TryFind(0, out _));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Random_changes_agree_with_an_array_of_pages(int seed)
    {
        Random random = new(seed);
        EnclaveMappings mappings = new();
        (PageProtection Protection, OpenEnclave Owner)?[] model = new (PageProtection, OpenEnclave)?[Pages];
        for (int step = 0; step < 5_000; step++)
        {
            int start = random.Next(Pages), end = random.Next(start, Pages) + 1;
            PageProtection protection = (PageProtection)random.Next(8);
            OpenEnclave owner = random.Next(2) == 0 ? s_first : s_second;
            switch (random.Next(3))
            {
                case 0:
                    mappings.Add(new EnclaveMapping((ulong)start * Page, (ulong)end * Page, protection, owner));
                    Array.Fill(model, (protection, owner), start, end - start);
                    break;
                case 1:
                    mappings.Remove((ulong)start * Page, (ulong)end * Page);
                    Array.Fill(model, null, start, end - start);
                    break;
                default:
                    mappings.Protect((ulong)start * Page, (ulong)end * Page, protection);
                    for (int page = start; page < end; page++)
                    {
                        model[page] = model[page] is (_, OpenEnclave kept) ? (protection, kept) : null;
                    }
                    break;
            }
            Agree(model, mappings);
        }
    }

    private static void Agree((PageProtection Protection, OpenEnclave Owner)?[] model, EnclaveMappings mappings)
    {
        ulong last = 0;
        for (int i = 0; i < mappings.Count; i++)
        {
            Assert.True(mappings[i].Start >= last && mappings[i].End > mappings[i].Start);
            last = mappings[i].End;
        }
        for (int page = 0; page < model.Length; page++)
        {
            bool found = mappings.TryFind((ulong)page * Page, out EnclaveMapping mapping);
            Assert.Equal(model[page] is not null, found);
            Assert.Equal(found, mappings.Overlaps((ulong)page * Page, (ulong)(page + 1) * Page));
            if (model[page] is (PageProtection protection, OpenEnclave owner))
            {
                Assert.Equal(protection, mapping.Protection);
                Assert.Same(owner, mapping.Owner);
            }
        }
    }
}
