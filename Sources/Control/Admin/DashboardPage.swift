/// The page `/llmhealth-monitor`: three files that are part of the program.
///
/// The page loads its other two files and its data by relative URLs, so it also works behind another proxy that adds a path
/// prefix. Therefore the page's own path must not end with a slash; `answer(to:)` redirects such a request.
enum DashboardPage {
    enum Answer: Equatable, Sendable {
        /// 200 with these bytes and `DashboardPage.headers`.
        case file(contentType: String, bytes: [UInt8])
        /// 308 with this `Location`, which is relative to the path asked for.
        case redirect(location: String)
    }

    /// Sent with each of the files. The policy allows the page to load only its own files and data: no inline scripts, and
    /// nothing from other hosts. `no-cache` makes an update of the program visible at once.
    static let headers: [(name: String, value: String)] = [
        (
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
                + "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
        ),
        ("Cache-Control", "no-cache"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
    ]

    /// The answer to `GET` or `HEAD` of this path; nil when the path does not belong to the page.
    ///
    /// - Parameter path: without the query.
    static func answer(to path: String) -> Answer? {
        switch path {
        case "/llmhealth-monitor":
            .file(contentType: "text/html; charset=utf-8", bytes: PackageResources.index_html)
        case "/llmhealth-monitor/dashboard.js":
            .file(contentType: "text/javascript; charset=utf-8", bytes: PackageResources.dashboard_js)
        case "/llmhealth-monitor/style.css":
            .file(contentType: "text/css; charset=utf-8", bytes: PackageResources.style_css)
        case "/llmhealth-monitor/":
            .redirect(location: "../llmhealth-monitor")
        default:
            nil
        }
    }
}
