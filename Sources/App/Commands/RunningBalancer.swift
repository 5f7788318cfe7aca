import Control
import Foundation
import NIOCore
import NIOPosix
import Proxy
import Wire

/// A balancer that runs somewhere, asked by a command. The key is in the environment variable LLAMA_BALANCER_KEY.
struct RunningBalancer {
    private let url: String
    private let target: ProbeTarget

    init(_ url: String) throws {
        let base: BaseURL
        do { base = try BaseURL.parse(url, assumingHTTP: true).url } catch {
            throw CommandFailure.usage("--url \(url): \(error.message)")
        }
        let environment = ProcessInfo.processInfo.environment
        let transport = try Self.transport(to: base, environment)
        var target = ProbeTarget(host: base.host, port: base.port, transport: transport, pathPrefix: base.pathPrefix)
        if let key = environment["LLAMA_BALANCER_KEY"], !key.isEmpty {
            target.headers = [.init(name: "Authorization", value: "Bearer \(key)")]
        }
        (self.url, self.target) = (url, target)
    }

    /// - Parameter wants: a member that the answer has.
    func get(_ path: String, wants: String) async throws -> JSON {
        let response: ProbeClient.Response
        do {
            response = try await ProbeClient().get(
                path, from: target, timeout: .seconds(5), on: MultiThreadedEventLoopGroup.singleton.next()
            ).get()
        } catch {
            throw CommandFailure.failed("No balancer answers at \(url): \(error). Is it running there? See --url.")
        }
        if response.status == 401 || response.status == 403 {
            throw CommandFailure.failed(
                "The balancer at \(url) answered \(response.status). Set the environment variable LLAMA_BALANCER_KEY to a key "
                    + "with admin: true.")
        }
        guard response.status == 200, let document = try? JSON(parsing: response.body), document[wants] != nil else {
            throw CommandFailure.failed(
                "What answers at \(url) is no llama-balancer: \(path) answered \(response.status). See --url.")
        }
        return document
    }

    /// The certificate of a balancer behind a TLS proxy is checked like the certificates of servers.
    static func transport(to base: BaseURL, _ environment: [String: String]) throws -> Transport {
        guard base.scheme == .https else { return .plain }
        do {
            var settings = TLSSettings()
            settings.authorities = try TLSSettings.systemAuthorities(environment)
            return .tls(try settings.context())
        } catch let problem as TLSSettings.EnvironmentProblem {
            throw CommandFailure.failed("\(problem.message); \(problem.hint)")
        } catch {
            throw CommandFailure.failed(
                "This system has no certificates of authorities that can be read. Install them (Debian's ca-certificates), "
                    + "or name the authority's file in the environment variable SSL_CERT_FILE.")
        }
    }
}
