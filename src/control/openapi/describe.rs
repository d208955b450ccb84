//! What the description says of each path, beside what the documents say of themselves.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::super::view::{
    About, Changed, CheckedView, ConfigView, Done, JournalView, Ordered, OrdersView, Overrides, PlanView,
    Refused, ResetView, Servers, StatusView, WhyView,
};

/// One operation.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    tag: &'static str,
    summary: &'static str,
    /// Name, place, description, schema.
    parameters: Vec<(&'static str, &'static str, &'static str, Value)>,
    body: Option<Value>,
    /// Schema of the document, or media type and description of another answer.
    answer: Answer,
    /// Status, and the codes of its refusals.
    refusals: Vec<(u16, &'static str)>,
}

enum Answer {
    Document(&'static str),
    Other(&'static str, &'static str),
}

fn reads(path: &'static str, tag: &'static str, summary: &'static str, document: &'static str) -> Operation {
    Operation {
        method: "GET",
        path,
        tag,
        summary,
        parameters: Vec::new(),
        body: None,
        answer: Answer::Document(document),
        refusals: Vec::new(),
    }
}

fn does(path: &'static str, tag: &'static str, summary: &'static str, document: &'static str) -> Operation {
    Operation { method: "POST", ..reads(path, tag, summary, document) }
}

impl Operation {
    fn with(mut self, name: &'static str, place: &'static str, about: &'static str, schema: Value) -> Self {
        self.parameters.push((name, place, about, schema));
        self
    }

    fn takes(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    fn refuses(mut self, refusals: &[(u16, &'static str)]) -> Self {
        self.refusals.extend_from_slice(refusals);
        self
    }

    fn other(mut self, media: &'static str, about: &'static str) -> Self {
        self.answer = Answer::Other(media, about);
        self
    }
}

fn text() -> Value {
    json!({ "type": "string" })
}

const SERVICE: &str = "The virtual server, as `tandem servers` names it: `TCP 192.0.2.1:80`, `FWM 5`, `group web TCP`; `-` = \
                       whichever has the real server.";
const SERVER: &str = "The real server: `ADDRESS:PORT`, or `ADDRESS` where that is enough.";

fn of_server(operation: Operation) -> Operation {
    operation.with("service", "path", SERVICE, text()).with("server", "path", SERVER, text())
}

fn change(path: &'static str, summary: &'static str) -> Operation {
    let persist = "Write the change into the include file, too.";
    let pair = "The other director of the pair does the same: `weight`, `drain`, `disable` and `enable` alone, and not with \
        `persist`. What it said is in `pair` of the answer; the change here stands whatever that is.";
    of_server(does(path, "real servers", summary, "Changed"))
        .with("persist", "query", persist, json!({ "type": "boolean" }))
        .with("pair", "query", pair, json!({ "type": "boolean" }))
        .refuses(&[
            (400, "`path`, `real-server`, `virtual-server`, `query`, `body`, `weight`, `like`, `pair`, `for-seconds`: not understood"),
            (404, "`no-virtual-server`, `no-real-server`: not there"),
            (409, "`no-pair`, `ambiguous`, `deleted`, `in-use`, `only-one`, `already-there`, `cannot-add`, `too-many`, `persisted`, `name`, `like`: cannot be done"),
        ])
}

fn body(fields: Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": fields })
}

fn persist() -> Value {
    json!({ "type": "boolean", "description": "As in the query." })
}

fn instance_order(path: &'static str, summary: &'static str, lasts: bool) -> Operation {
    let operation = does(path, "instances", summary, "Ordered")
        .with(
            "name",
            "path",
            "The instance or the sync group, as the file names it; `-` = every instance.",
            text(),
        )
        .refuses(&[
            (400, "`path`, `query`, `body`, `for-seconds`: not understood"),
            (404, "`no-instance`: not there"),
            (409, "cannot be done as things are"),
        ]);
    if lasts { operation.takes(body(json!({ "for_seconds": lasting() }))) } else { operation }
}

fn lasting() -> Value {
    json!({ "type": "integer", "minimum": 1, "description": "Seconds that it lasts; absent = until it is taken back." })
}

fn weight() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": 65535 })
}

/// Every operation.
pub(super) fn operations() -> Vec<Operation> {
    let parts = json!({ "enum": ["instances", "virtual_servers", "daemon"] });
    let forms = json!({ "enum": ["yaml", "keepalived"], "default": "yaml" });
    let query = (400, "`query`, `virtual-server`: not understood");
    let since = json!({ "type": "integer", "minimum": 0 });
    let unknown = (404, "`no-virtual-server`: not there");
    let silent = (503, "`silent`: the check thread does not answer");
    let mut all = vec![
        reads(
            "/v1",
            "daemon",
            "Which program answers, and which versions of this interface it speaks.",
            "About",
        ),
        reads(
            "/v1/status",
            "status",
            "Everything at one moment: the daemon, instances with the arithmetic of their \
            priorities, virtual servers with their real servers, connections and rates, the kernel's table.",
            "StatusView",
        )
        .with(
            "part",
            "query",
            "This part alone; of the others the lists are empty. `daemon` is always told.",
            parts,
        )
        .with("service", "query", "This virtual server alone.", text())
        .refuses(&[query, unknown]),
        reads(
            "/v1/real-servers",
            "real servers",
            "The virtual servers with their real servers: health, weights, \
            overrides, the connections of those that drain.",
            "Servers",
        )
        .with("service", "query", "This virtual server alone.", text())
        .refuses(&[query, unknown, silent]),
        reads(
            "/v1/overrides",
            "real servers",
            "What commands and `real_server_override` lines have made different, by \
            whom and when.",
            "Overrides",
        ),
        reads(
            "/v1/config",
            "daemon",
            "The configuration in force, overrides included, with `***` in the place of every \
            secret.",
            "ConfigView",
        )
        .with("form", "query", "How it is written.", forms)
        .refuses(&[query, (409, "`form`: this form has no way to say it")]),
        reads(
            "/v1/plan",
            "daemon",
            "What a reload of the file would change now. Nothing changes.",
            "PlanView",
        )
        .refuses(&[query]),
        reads("/v1/openapi.json", "daemon", "This description.", "")
            .other("application/json", "This description."),
        does(
            "/v1/statistics/reset",
            "status",
            "The counters of the instances begin at zero (as keepalived's STATS_CLEAR signal does), and on request those of our services in the kernel.",
            "ResetView",
        )
        .takes(body(
            json!({ "ipvs": { "type": "boolean", "description": "Those of IPVS, too.", "default": false } }),
        ))
        .refuses(&[
            (400, "`query`, `body`: not understood"),
            (503, "`silent`, `no-ipvs`: cannot be done now"),
        ]),
        does(
            "/v1/reload",
            "daemon",
            "Read the configuration again, as at SIGHUP. The answer comes when it is in force.",
            "Done",
        )
        .refuses(&[(409, "`refused-file`: the file has errors; nothing has changed")]),
        does("/v1/upgrade", "daemon", "The installed program goes on in the place of this one.", "Done")
            .refuses(&[(409, "`no-supervisor` and others: cannot be done")]),
        does("/v1/leave", "daemon", "End, and leave everything in the kernel for the next process.", "Done"),
        reads("/v1/journal", "journal", "What happened, and why: the last events.", "JournalView")
            .with("since", "query", "Events after this number; all that are kept where this journal has no such number yet.",
                since.clone())
            .with("subject", "query", "Events about this instance, group, virtual server, tracker or real server.", text())
            .with("kind", "query", "Events of this kind.", text())
            .with("limit", "query", "At most so many: with `since` the oldest, else the newest.", since.clone())
            .refuses(&[query]),
        reads("/v1/why", "journal", "How something stands, and the last changes with their causes.", "WhyView")
            .with("subject", "query", "An instance, sync group, virtual or real server; absent = every instance.", text())
            .with("last", "query", "How many of the last changes.", since.clone())
            .refuses(&[query, (404, "not there"), silent]),
        reads("/v1/orders", "instances", "The orders of people that are in force.", "OrdersView"),
        reads(
            "/v1/events",
            "journal",
            "What happens, as it happens: server-sent events, each an `EventView`.",
            "",
        )
        .with("since", "query", "First those after this number; so does the header `Last-Event-ID`.", since)
        .other("text/event-stream", "`id` is the number of the event, `data` an `EventView`. `event: hello` begins, with \
            the number of the `newest` event and the name of the `journal`; `event: missed` says how many behind the number that \
            was given are not kept any more.")
        .refuses(&[query]),
        reads("/metrics", "status", "Figures for Prometheus; by `Accept: text/plain` in its older text format.", "")
            .with("detail", "query", "How much: less leaves out what there is most of.",
                json!({ "enum": ["daemon", "virtual-servers", "real-servers"], "default": "real-servers" }))
            .other("application/openmetrics-text; version=1.0.0; charset=utf-8", "OpenMetrics text.")
            .refuses(&[query]),
        reads("/", "status", "The page to look at.", "").other("text/html; charset=utf-8", "One document without any other."),
        instance_order("/v1/instances/{name}/step-down", "Let a peer be master.", true),
        instance_order("/v1/instances/{name}/take-over", "Be master, over a peer of higher priority.", true),
        instance_order("/v1/instances/{name}/release", "Take an order back.", false),
        instance_order("/v1/instances/{name}/failback", "What the priority is enough for, nopreempt or not.", false),
    ];
    let strict = json!({ "type": "boolean", "description": "Take nothing, even if nobody else is there." });
    all.push(
        does("/v1/maintenance", "instances", "All instances step down and stay so, or no more.", "Ordered")
            .takes(body(json!({ "on": { "type": "boolean" }, "strict": strict, "for_seconds": lasting() })))
            .refuses(&[(400, "`body`, `for-seconds`: not understood")]),
    );
    let at = "/v1/real-servers/{service}/{server}";
    all.extend([
        change("/v1/real-servers/{service}/{server}/weight", "Another weight.")
            .takes(body(json!({ "weight": weight(), "persist": persist(), "pair": persist() }))),
        change("/v1/real-servers/{service}/{server}/drain", "Nothing new; its connections go on.")
            .takes(body(json!({ "persist": persist(), "pair": persist(), "for_seconds": lasting() }))),
        change("/v1/real-servers/{service}/{server}/disable", "Out of service; its checks go on.")
            .takes(body(json!({ "persist": persist(), "pair": persist(), "for_seconds": lasting() }))),
        change("/v1/real-servers/{service}/{server}/enable", "As the file says again.")
            .takes(body(json!({ "persist": persist(), "pair": persist() }))),
        change("/v1/real-servers/{service}/{server}/add", "A new one, like another one.")
            .takes(body(json!({ "weight": weight(), "like": text(), "persist": persist() }))),
        Operation { method: "DELETE", ..change(at, "Take it away.") },
        of_server(does("/v1/real-servers/{service}/{server}/check", "real servers", "Have it checked now. The answer \
            comes when the results are there, or after 15 seconds. Of `service` `-` means every one, of `server` all.",
            "CheckedView"))
            .refuses(&[
                (400, "`path`, `real-server`, `virtual-server`, `query`, `body`: not understood"),
                (404, "`no-virtual-server`, `no-real-server`: not there"),
                (503, "`busy`: too many others want checks at once"),
            ]),
    ]);
    all
}

/// The whole description.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for one in operations() {
        let path = paths.entry(one.path).or_insert_with(|| json!({}));
        path[one.method.to_lowercase()] = operation(&one);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tandem",
            "version": "1",
            "summary": "The local interface of the daemon.",
            "description": "HTTP/1.1 over the unix socket `/run/tandem/control.sock`, for root and the group that \
                `control_group` names. Durations are in seconds, times are UTC, what is not known is `null`. Within a \
                version fields are added and none is renamed or taken away: readers pass over what they do not know.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "http://tandem", "description": "Any host: the socket is what counts." }],
        "paths": paths,
        "components": { "schemas": schemas() },
    })
}

fn operation(one: &Operation) -> Value {
    let mut responses = Map::new();
    let answer = match one.answer {
        Answer::Document(name) => {
            let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
            json!({ "description": "Done.", "content": { "application/json": { "schema": schema } } })
        }
        Answer::Other(media, about) => {
            json!({ "description": about, "content": { media: { "schema": {} } } })
        }
    };
    responses.insert("200".to_owned(), answer);
    let refusal = |about: &str| {
        let schema = json!({ "$ref": "#/components/schemas/Refused" });
        json!({ "description": about, "content": { "application/json": { "schema": schema } } })
    };
    for (status, about) in &one.refusals {
        responses.insert(status.to_string(), refusal(about));
    }
    responses.insert(
        "default".to_owned(),
        refusal("Refused; nothing has changed. `busy` (503): ask again later."),
    );
    let parameters: Vec<Value> = one
        .parameters
        .iter()
        .map(|(name, place, about, schema)| {
            json!({ "name": name, "in": place, "description": about, "required": *place == "path", "schema": schema })
        })
        .collect();
    let mut said = json!({ "tags": [one.tag], "summary": one.summary, "parameters": parameters, "responses": responses });
    if let Some(body) = &one.body {
        said["requestBody"] =
            json!({ "required": false, "content": { "application/json": { "schema": body } } });
    }
    said
}

fn add<T: JsonSchema>(maker: &mut SchemaGenerator) {
    maker.subschema_for::<T>();
}

/// The documents, by the names of their types.
fn schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut written = settings.clone().for_serialize().into_generator();
    add::<About>(&mut written);
    add::<Done>(&mut written);
    add::<StatusView>(&mut written);
    add::<Servers>(&mut written);
    add::<Overrides>(&mut written);
    add::<Changed>(&mut written);
    add::<CheckedView>(&mut written);
    add::<ResetView>(&mut written);
    add::<ConfigView>(&mut written);
    add::<PlanView>(&mut written);
    add::<JournalView>(&mut written);
    add::<WhyView>(&mut written);
    add::<Ordered>(&mut written);
    add::<OrdersView>(&mut written);
    let mut all = written.take_definitions(true);
    // It is only ever read here: its candidates may be left out.
    let mut read = settings.into_generator();
    add::<Refused>(&mut read);
    all.extend(read.take_definitions(true));
    all.sort_keys();
    all.into_iter().collect()
}
