extension UInt8 {
    var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }

    /// RFC 9110 `tchar`: letters, digits and !#$%&'*+-.^_`|~. The constants have one bit for each byte.
    @inline(__always)
    var isTokenCharacter: Bool {
        let bits: UInt64 = self < 64 ? 0x03FF_6CFA_0000_0000 : self < 128 ? 0x57FF_FFFF_C7FF_FFFE : 0
        return bits &>> UInt64(self & 63) & 1 == 1
    }

    /// Letters, digits and `.-_:[]%~`. The constants have one bit for each byte.
    @inline(__always)
    var isHostCharacter: Bool {
        let bits: UInt64 = self < 64 ? 0x07FF_6020_0000_0000 : self < 128 ? 0x47FF_FFFE_AFFF_FFFE : 0
        return bits &>> UInt64(self & 63) & 1 == 1
    }

    /// Visible characters, space, tab and bytes above ASCII.
    var isFieldValueCharacter: Bool { self >= 0x20 && self != 0x7F || self == 0x09 }

    /// White space between the tokens of a JSON document.
    var isJSONSpace: Bool { self == 0x20 || self == 0x0A || self == 0x0D || self == 0x09 }
}

extension RawSpan {
    /// The first byte that is not JSON's white space; nil when there is none.
    ///
    /// The bytes of a byte order mark do not count.
    package var firstVisibleByte: UInt8? {
        withBytes { bytes in bytes.first { !$0.isJSONSpace && $0 != 0xEF && $0 != 0xBB && $0 != 0xBF } }
    }
}
