import Testing

@testable import Wire

@Suite("Base64")
struct Base64Tests {
    @Test(
        "gives the bytes, with padding or without",
        arguments: [
            ("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"), ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"), ("Zg", "f"), ("Zm8", "fo"), ("Pz8/Pj4+", "???>>>"),
        ])
    func decoded(text: String, bytes: String) {
        #expect(Base64.decoded(Array(text.utf8)) == Array(bytes.utf8))
    }

    @Test(
        "anything else is not Base64", arguments: ["Z", "Zm9vY", "Zm9v!", "Zm 9v", "Zm9v\n", "Zg===", "====", "=Zg", "Pz8_Pj4-"])
    func malformed(text: String) { #expect(Base64.decoded(Array(text.utf8)) == nil) }
}
