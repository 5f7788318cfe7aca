import Proxy
import Testing

@Suite("Address ranges") struct AddressRangeTests {
    @Test(
        "an address is in the range of its prefix",
        arguments: [
            ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("10.1.2.3/8", "10.9.9.9", true),
            ("192.168.1.20", "192.168.1.20", true), ("192.168.1.20", "192.168.1.21", false), ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false), ("::/0", "1.2.3.4", false), ("::/0", "fe80::1", true), ("fd00::/8", "fdab::1", true),
            ("fd00::/8", "fe00::1", false), ("::1", "::1", true), ("::1/128", "0:0:0:0:0:0:0:1", true),
            ("192.168.1.16/28", "192.168.1.31", true), ("192.168.1.16/28", "192.168.1.32", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true), ("::ffff:10.0.0.0/104", "10.1.1.1", true),
            ("fe80::/10", "fe80::1%eth0", true),
            ("2001:db8::/32", "2001:DB8:0:1::", true), ("10.0.0.0/8", "not an address", false),
        ])
    func contains(range: String, address: String, expected: Bool) throws {
        #expect(try #require(AddressRange(range)).contains(address) == expected)
    }

    @Test(
        "what is not a range is refused",
        arguments: [
            "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0/8", "10.0.0.256",
            "010.0.0.1",
            "1.2.3.4.5", "::/129", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "::1%eth0",
            "::ffff:10.0.0.0/8",
            "host", "1:2:3:4:5:6:7::8", "+1::", "1.2.3.4::", "٣.1.1.1",
        ])
    func refused(text: String) {
        #expect(AddressRange(text) == nil)
    }

    @Test("ranges are equal when they hold the same addresses")
    func equal() {
        #expect(AddressRange("10.1.2.3/8") == AddressRange("10.0.0.0/8"))
        #expect(AddressRange("10.0.0.0/8") != AddressRange("10.0.0.0/9"))
        #expect(AddressRange("0.0.0.0/0") != AddressRange("::/0"))
    }
}
