// swift-tools-version: 6.2
import PackageDescription

/// `CORE_ONLY=1` builds and tests the pure modules alone, without a single dependency: `make test-core` answers in seconds.
let coreOnly = Context.environment["CORE_ONLY"] != nil

/// `BENCHMARKS=1` adds the measurements of single parts (`make bench-parts`); ordinary builds know nothing of them.
let withBenchmarks = Context.environment["BENCHMARKS"] != nil

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// What the optimiser may do in the release build. Never `-Ounchecked`: our preconditions stay.
let fast: [SwiftSetting] =
    strict + [
        .unsafeFlags(["-enforce-exclusivity=unchecked", "-cross-module-optimization"], .when(configuration: .release))
    ]

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]
let nioHTTP: [Target.Dependency] = nio + [.product(name: "NIOHTTP1", package: "swift-nio")]
let tls: [Target.Dependency] = [
    .product(name: "NIOSSL", package: "swift-nio-ssl"),
    .product(name: "NIOTLS", package: "swift-nio"),
]
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

let pure: [Target] = [
    .target(name: "Routing", swiftSettings: fast),
    .target(name: "CBytes"),
    .target(name: "Wire", dependencies: ["CBytes"], swiftSettings: fast + [.strictMemorySafety()]),
    .target(name: "Simulation", dependencies: ["Routing"], swiftSettings: fast),
    .testTarget(name: "RoutingTests", dependencies: ["Routing"], swiftSettings: strict),
    .testTarget(name: "WireTests", dependencies: ["Wire"], swiftSettings: strict),
    .testTarget(name: "SimulationTests", dependencies: ["Routing", "Simulation"], swiftSettings: strict),
]

let benchmarks: [Target] =
    withBenchmarks
    ? [.executableTarget(name: "parts", dependencies: ["Routing", "Wire"], path: "Benchmarks/Parts", swiftSettings: fast)] : []

let effects: [Target] = [
    .target(name: "CHeap"),
    .target(name: "Proxy", dependencies: ["Routing", "Wire", crypto] + nio + tls, swiftSettings: fast),
    .target(
        name: "Control", dependencies: ["Routing", "Wire", "Proxy"] + nioHTTP,
        resources: [.embedInCode("Dashboard")], swiftSettings: strict),
    .target(
        name: "App",
        dependencies: [
            "Routing", "Wire", "Proxy", "Control", "Simulation", "FakeBackend", "CHeap", log, "Yams",
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
            .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        ] + nioHTTP + tls, swiftSettings: strict),
    .executableTarget(name: "llama-balancer", dependencies: ["App"], swiftSettings: strict),
    .target(name: "FakeBackend", dependencies: ["Wire"] + nioHTTP, swiftSettings: strict),
    .executableTarget(
        name: "fake-llama",
        dependencies: ["FakeBackend", .product(name: "ArgumentParser", package: "swift-argument-parser")] + nio,
        swiftSettings: strict),
    .executableTarget(
        name: "fake-fleet",
        dependencies: ["Simulation", "Wire", .product(name: "ArgumentParser", package: "swift-argument-parser")] + nioHTTP,
        swiftSettings: strict),
    .testTarget(
        name: "ProxyTests",
        dependencies: [
            "Proxy", "Wire", "Routing", "FakeBackend", .product(name: "NIOEmbedded", package: "swift-nio"),
        ] + nioHTTP + tls, swiftSettings: strict),
    .testTarget(
        name: "ControlTests",
        dependencies: [
            "Control", "Routing", "Wire", "Proxy", "FakeBackend", .product(name: "NIOEmbedded", package: "swift-nio"),
        ] + nio + tls,
        swiftSettings: strict),
    .testTarget(
        name: "AppTests",
        dependencies: [
            "App", "Control", "FakeBackend", "Proxy", "Routing", "Simulation", "Wire", log,
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ] + nio, exclude: ["Golden"], swiftSettings: strict),
    .testTarget(name: "FakeBackendTests", dependencies: ["FakeBackend", "Wire"] + nioHTTP, swiftSettings: strict),
]

let package = Package(
    name: "llama-balancer",
    platforms: [.macOS("26.0")],
    products: coreOnly ? [] : [.executable(name: "llama-balancer", targets: ["llama-balancer"])],
    dependencies: coreOnly
        ? []
        : [
            .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
            .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
            .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
            .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
            .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
            .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
            .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        ],
    targets: (coreOnly ? pure : pure + effects) + benchmarks
)
