import Testing

@testable import Wire

@Suite("Changing fields of a JSON body")
struct JSONEditTests {
    private func edit(_ body: String, _ fields: (String, JSON)...) -> String {
        let members = fields.map { JSON.Member(name: $0.0, value: $0.1) }
        return String(decoding: JSONEdit.setting(members, in: Array(body.utf8)), as: UTF8.self)
    }

    @Test(
        "replaces a value and leaves every other byte as it was",
        arguments: [
            (#"{"a":1,"b":2}"#, #"{"a":9,"b":2}"#),
            (
                #"{ "b" : [1, {"a":7}] ,"# + "\n\t" + #""a"  :  "x\"}," , "c":{"a":1}}"#,
                #"{ "b" : [1, {"a":7}] ,"# + "\n\t" + #""a"  :  9 , "c":{"a":1}}"#
            ),
            ("\r\n {\"a\":null}\r\n", "\r\n {\"a\":9}\r\n"),
            (#"{"a":{"a":{"a":1}}}"#, #"{"a":9}"#),
            (#"{"a":[[],{"x":"]}"}],"z":1.50e+3}"#, #"{"a":9,"z":1.50e+3}"#),
            (#"{"a":-1.5e-7}"#, #"{"a":9}"#),
            (#"{"\u0061":1}"#, #"{"\u0061":9}"#),
            (#"{"a\\":5,"a":true}"#, #"{"a\\":5,"a":9}"#),
        ])
    func replaces(body: String, expected: String) {
        #expect(edit(body, ("a", 9)) == expected)
    }

    @Test(
        "adds a field that is not there at the end, also when its name stands deeper down or as a value",
        arguments: [
            ("{}", #"{"a":9}"#), ("{ \n}", "{ \n" + #""a":9}"#), (#"{"b":1}"#, #"{"b":1,"a":9}"#),
            (#"{"b":{"a":1}}"#, #"{"b":{"a":1},"a":9}"#), (#"{"b":"a"}  "#, #"{"b":"a","a":9}  "#),
            (#"{"b":["a",1] }"#, #"{"b":["a",1] ,"a":9}"#), (#"{"A":1}"#, #"{"A":1,"a":9}"#),
        ])
    func adds(body: String, expected: String) {
        #expect(edit(body, ("a", 9)) == expected)
    }

    @Test("merges two objects one level deep; a new value wins, and deeper objects are replaced")
    func merges() {
        #expect(
            edit(#"{"k":{"x":1,"y":{"p":1}},"z":0}"#, ("k", ["y": ["q": 2], "n": 3])) == #"{"k":{"x":1,"y":{"q":2},"n":3},"z":0}"#
        )
        #expect(edit(#"{"k":{}}"#, ("k", ["n": 3])) == #"{"k":{"n":3}}"#)
    }

    @Test("merging leaves every other byte of the client's object as it was, however deep it is")
    func mergesBytes() {
        let deep = String(repeating: "[", count: 300) + String(repeating: "]", count: 300)
        #expect(
            edit(#"{"k":{ "\u0078" : 1.50e+3,"d":\#(deep), "n" :0}}"#, ("k", ["n": 3, "m": 4]))
                == #"{"k":{ "\u0078" : 1.50e+3,"d":\#(deep), "n" :3,"m":4}}"#)
        #expect(edit(#"{"k":{"x":1}}"#, ("k", ["x": 2]), ("x", 3)) == #"{"k":{"x":2},"x":3}"#)
    }

    @Test("an object replaces what is no object, and the other way round", arguments: ["1", "null", #""x""#, "[{}]", "true"])
    func replacesOtherKinds(old: String) {
        #expect(edit(#"{"k":\#(old),"z":0}"#, ("k", ["n": 3])) == #"{"k":{"n":3},"z":0}"#)
        #expect(edit(#"{"k":{"n":3},"z":0}"#, ("k", 5)) == #"{"k":5,"z":0}"#)
    }

    @Test("with duplicates the last one is changed, because that is the one that counts")
    func duplicates() {
        #expect(edit(#"{"a":1,"b":0,"a":2}"#, ("a", 9)) == #"{"a":1,"b":0,"a":9}"#)
    }

    @Test("sets several fields at once, in any order, and the last of two of one name")
    func several() {
        #expect(edit(#"{"a":1,"b":2}"#, ("b", 8), ("n", 1), ("a", 9), ("m", "ü\n")) == #"{"a":9,"b":8,"n":1,"m":"ü\n"}"#)
        #expect(edit(#"{"a":1}"#, ("a", 8), ("a", 9)) == #"{"a":9}"#)
        #expect(edit("{}", ("a", 8), ("a", 9)) == #"{"a":9}"#)
    }

    @Test("what is no object stays as it is", arguments: ["[]", "1", #""{}""#, "null", " [ {} ] ", ""])
    func noObject(body: String) {
        #expect(edit(body, ("a", 9)) == body)
    }

    @Test("random objects stay valid, keep their other fields and get what was set", arguments: 0..<300)
    func random(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let body = randomObject(&random, depth: 3)
        let before = try #require(try JSON(parsing: Array(body.utf8)).objectValue)
        let fields = ["a", "b", "new"].prefix(1 + random.below(3)).map { name in
            JSON.Member(name: name, value: random.below(2) == 0 ? ["a": 5] : .string("\"}"))
        }
        let edited = JSONEdit.setting(fields, in: Array(body.utf8))
        let after = try JSON(parsing: edited)
        for field in fields {
            let old = before.last { $0.name == field.name }?.value
            let value = try #require(after[field.name])
            if old?.objectValue != nil, field.value.objectValue != nil {
                #expect(value["a"] == 5, "\(body)")
            } else {
                #expect(value == field.value, "\(body)")
            }
        }
        let names = Set(fields.map(\.name))
        #expect(after.objectValue?.filter { !names.contains($0.name) } == before.filter { !names.contains($0.name) }, "\(body)")
    }

    @Test("bodies that are not valid never crash it", arguments: 0..<300)
    func invalid(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let samples = [#"{"a":{"b":[1,"x\\"]},"c":null}"#, #"{"a":"\u0041","a":[{}]}"#, "{ }"].map { Array($0.utf8) }
        let body = random.bytes(like: samples, alphabet: Array("{}[]:,\"\\a1 ".utf8))
        let edited = JSONEdit.setting([.init(name: "a", value: 9), .init(name: "z", value: ["a": 1])], in: body)
        // Added fields make it longer, replaced values may make it shorter; without an object nothing changes.
        if body.first(where: { !" \t\r\n".utf8.contains($0) }) != UInt8(ascii: "{") { #expect(edited == body) }
    }

    /// Objects with odd spacing, duplicates and the same names on every level.
    private func randomObject(_ random: inout SplitMix64, depth: Int) -> String {
        func space() -> String { ["", "", " ", "\n", "\t\r\n "][random.below(5)] }
        func value() -> String {
            switch random.below(depth > 0 ? 7 : 5) {
            case 0: return "-12.5e3"
            case 1: return #""\\\"{\u00e9,]é""#
            case 2: return "true"
            case 3: return "null"
            case 4: return "\"a\""
            case 5: return "[" + space() + "\"a\"" + space() + "," + randomObject(&random, depth: depth - 1) + space() + "]"
            default: return randomObject(&random, depth: depth - 1)
            }
        }
        let members = (0..<random.below(4)).map { _ in
            space() + "\"" + ["a", "b", "c", "d"][random.below(4)] + "\"" + space() + ":" + space() + value() + space()
        }
        return "{" + members.joined(separator: ",") + space() + "}"
    }
}
