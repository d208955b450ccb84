//! Every path of the local interface, for refusals and for its description (`openapi.json`): a test holds this table, the
//! description and what [`super::route`] understands together.

/// One method of one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// The path, with its variable parts in capitals, or in braces as in the description: both are `{word}` here.
    pub path: &'static str,
}

const fn get(path: &'static str) -> Route {
    Route { method: "GET", path }
}

const fn post(path: &'static str) -> Route {
    Route { method: "POST", path }
}

/// All of them.
pub const ROUTES: &[Route] = &[
    get("/v1"),
    get("/v1/status"),
    get("/v1/real-servers"),
    get("/v1/overrides"),
    get("/v1/config"),
    get("/v1/plan"),
    get("/v1/openapi.json"),
    get("/v1/journal"),
    get("/v1/why"),
    get("/v1/orders"),
    get("/v1/events"),
    get("/metrics"),
    get("/"),
    post("/v1/real-servers/{service}/{server}/weight"),
    post("/v1/real-servers/{service}/{server}/drain"),
    post("/v1/real-servers/{service}/{server}/disable"),
    post("/v1/real-servers/{service}/{server}/enable"),
    post("/v1/real-servers/{service}/{server}/add"),
    post("/v1/real-servers/{service}/{server}/check"),
    Route { method: "DELETE", path: "/v1/real-servers/{service}/{server}" },
    post("/v1/instances/{name}/step-down"),
    post("/v1/instances/{name}/take-over"),
    post("/v1/instances/{name}/release"),
    post("/v1/instances/{name}/failback"),
    post("/v1/maintenance"),
    post("/v1/statistics/reset"),
    post("/v1/reload"),
    post("/v1/upgrade"),
    post("/v1/leave"),
];

/// The paths in one line, for refusals.
pub fn paths() -> String {
    let line = |route: &Route| {
        let path = route
            .path
            .replace("{service}", "SERVICE")
            .replace("{server}", "SERVER")
            .replace("{name}", "NAME");
        format!("{} {path}", route.method)
    };
    ROUTES.iter().map(line).collect::<Vec<_>>().join(", ")
}
