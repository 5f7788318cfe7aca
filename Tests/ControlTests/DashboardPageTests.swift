import Testing

@testable import Control

@Suite("Dashboard page") struct DashboardPageTests {
    private func file(_ path: String) throws -> (contentType: String, text: String) {
        var found: (contentType: String, text: String)?
        if case .file(let contentType, let bytes) = DashboardPage.answer(to: path) {
            found = (contentType, try #require(String(validating: bytes, as: UTF8.self)))
        }
        return try #require(found, "\(path) is not answered with a file")
    }

    private func text(of path: String) throws -> String { try file(path).text }

    @Test(
        "each file has its content type",
        arguments: [
            ("/llmhealth-monitor", "text/html; charset=utf-8", "<!doctype html>"),
            ("/llmhealth-monitor/dashboard.js", "text/javascript; charset=utf-8", "// The page of llama-balancer."),
            ("/llmhealth-monitor/style.css", "text/css; charset=utf-8", "/* Colours"),
        ])
    func files(path: String, type: String, start: String) throws {
        let file = try file(path)
        #expect(file.contentType == type)
        #expect(file.text.hasPrefix(start))
    }

    @Test("with a slash at the end the page is somewhere else, as its files are named relative to it")
    func slash() {
        #expect(DashboardPage.answer(to: "/llmhealth-monitor/") == .redirect(location: "../llmhealth-monitor"))
    }

    @Test(
        "other paths are not the page's",
        arguments: ["", "/", "/llmhealth", "/llmhealth-monitors", "/llmhealth-monitor/index.html", "/dashboard.js"])
    func others(path: String) {
        #expect(DashboardPage.answer(to: path) == nil)
    }

    @Test("the page asks only for files that are there")
    func references() throws {
        let page = try text(of: "/llmhealth-monitor")
        let references = page.matches(of: /<(?:script src|link rel="stylesheet" href)="([^"]*)"/).map { String($0.output.1) }
        #expect(references.sorted() == ["llmhealth-monitor/dashboard.js", "llmhealth-monitor/style.css"])
        for reference in references { _ = try text(of: "/" + reference) }
    }

    @Test("the page holds to its own security policy: nothing inline, nothing from elsewhere")
    func securityPolicy() throws {
        let page = try text(of: "/llmhealth-monitor")
        #expect(!page.contains(/<script(?![^>]* src=)/))
        #expect(!page.contains(/\son[a-z]+\s*=/))
        #expect(!page.contains(/<style|\sstyle\s*=/))
        for path in ["/llmhealth-monitor", "/llmhealth-monitor/dashboard.js", "/llmhealth-monitor/style.css"] {
            #expect(!(try text(of: path)).contains(/(?:https?:)?\/\/[a-z0-9]|@import|url\(/), "\(path) loads from elsewhere")
        }
        #expect(DashboardPage.headers.contains { $0.name == "Content-Security-Policy" && !$0.value.contains("unsafe") })
    }

    @Test("the script never makes HTML or code of a text")
    func noMarkupFromText() throws {
        let script = try text(of: "/llmhealth-monitor/dashboard.js")
        #expect(!script.contains(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|Function\(|srcdoc/))
    }

    @Test("every field and template that the script names is in the page")
    func names() throws {
        let page = try text(of: "/llmhealth-monitor")
        let script = try text(of: "/llmhealth-monitor/dashboard.js")
        let ids = script.matches(of: /byId\("([^"]+)"\)|copyOf\("([^"]+)"\)/).map { $0.output.1 ?? $0.output.2 ?? "" }
        let templates = script.matches(of: /"([a-z]+-(?:row|mark)|chip|column|level)"/).map(\.output.1)
        let fields = script.matches(of: /field\([a-z]+, "([^"]+)"\)/).map(\.output.1)
        #expect(ids.count > 10 && fields.count > 10 && templates.count > 5)
        for id in ids + templates { #expect(page.contains("id=\"\(id)\""), "no element with the id \(id)") }
        for field in fields { #expect(page.contains("data-field=\"\(field)\""), "no field \(field)") }
    }
}
