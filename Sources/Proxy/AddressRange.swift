/// An IPv4 or IPv6 address. An IPv4 address inside IPv6 (`::ffff:10.0.0.1`) is the IPv4 address.
package struct IPAddress: Equatable, Hashable, Sendable {
    package enum Family: Equatable, Sendable {
        case v4
        case v6

        /// The number of bits in an address.
        var width: Int {
            switch self {
            case .v4: 32
            case .v6: 128
            }
        }
    }

    package let family: Family

    /// The address as a number, in its lowest `family.width` bits.
    let bits: UInt128

    /// Nil when the text is not an address. A zone (`fe80::1%eth0`) is ignored.
    package init?(_ text: some StringProtocol) {
        let address = text.prefix { $0 != "%" }
        if address.contains(":") {
            guard let bits = Self.parseV6(String(address)) else { return nil }
            let isMapped = bits >> 32 == 0xFFFF
            family = isMapped ? .v4 : .v6
            self.bits = isMapped ? bits & 0xFFFF_FFFF : bits
        } else {
            guard let bits = Self.parseV4(String(address)) else { return nil }
            family = .v4
            self.bits = bits
        }
    }

    private static func parseV4(_ text: String) -> UInt128? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt128 = 0
        for part in parts {
            let isPlain = part.utf8.allSatisfy { (0x30...0x39).contains($0) } && (part.count == 1 || part.first != "0")
            guard isPlain, let value = UInt8(part) else { return nil }
            bits = bits << 8 | UInt128(value)
        }
        return bits
    }

    private static func parseV6(_ text: String) -> UInt128? {
        let halves = text.split(separator: "::", omittingEmptySubsequences: false)
        guard halves.count <= 2, let head = groups(halves[0], endAddress: halves.count == 1) else { return nil }
        guard halves.count == 2 else { return head.count == 8 ? join(head) : nil }
        guard let tail = groups(halves[1], endAddress: true), head.count + tail.count <= 7 else { return nil }
        return join(head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail)
    }

    /// The 16-bit groups on one side of `::`. At the end of the address, the last two groups may be a dotted IPv4 address.
    private static func groups(_ text: Substring, endAddress: Bool) -> [UInt16]? {
        guard !text.isEmpty else { return [] }
        var groups: [UInt16] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if endAddress, index == parts.count - 1, part.contains("."), let dotted = parseV4(String(part)) {
                groups += [UInt16(truncatingIfNeeded: dotted >> 16), UInt16(truncatingIfNeeded: dotted)]
            } else {
                guard (1...4).contains(part.count), part.first != "+", part.first != "-", let group = UInt16(part, radix: 16)
                else { return nil }
                groups.append(group)
            }
        }
        return groups
    }

    private static func join(_ groups: [UInt16]) -> UInt128 {
        groups.reduce(0) { $0 << 16 | UInt128($1) }
    }
}

/// A range of addresses in CIDR notation, such as `10.0.0.0/8` or `fd00::/8`. A single address is a range of one address.
package struct AddressRange: Equatable, Hashable, Sendable {
    private let family: IPAddress.Family
    private let firstBits: UInt128
    private let prefixLength: Int
    private let text: String

    /// Nil when the text is not a range. Bits after the prefix are ignored: `10.1.2.3/8` is `10.0.0.0/8`.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard !text.contains("%"), let first = parts.first, let address = IPAddress(first) else { return nil }
        // The prefix length of `::ffff:10.0.0.0/104` counts IPv6 bits.
        let offset = address.family == .v4 && first.contains(":") ? 96 : 0
        var length = address.family.width
        if parts.count == 2 {
            let isPlain = !parts[1].isEmpty && parts[1].utf8.allSatisfy { (0x30...0x39).contains($0) }
            guard isPlain, let written = Int(parts[1]), (0...length).contains(written - offset) else { return nil }
            length = written - offset
        }
        family = address.family
        prefixLength = length
        firstBits = Self.prefix(of: address, length: length)
        self.text = text
    }

    package func contains(_ address: IPAddress) -> Bool {
        address.family == family && Self.prefix(of: address, length: prefixLength) == firstBits
    }

    /// False for a text that is not an address.
    package func contains(_ address: String) -> Bool {
        IPAddress(address).map { contains($0) } ?? false
    }

    private static func prefix(of address: IPAddress, length: Int) -> UInt128 {
        address.bits >> UInt128(address.family.width - length)
    }

    package static func == (left: AddressRange, right: AddressRange) -> Bool {
        left.family == right.family && left.prefixLength == right.prefixLength && left.firstBits == right.firstBits
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(prefixLength)
        hasher.combine(firstBits)
    }
}

extension AddressRange: CustomStringConvertible {
    package var description: String { text }
}
