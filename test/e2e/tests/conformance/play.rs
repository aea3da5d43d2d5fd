//! Plays a script against a server and tells its answers.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::kinds;
use crate::normal::Normal;
use crate::script::{Script, Step};
use crate::stream::Stream;

/// What is awaited comes within this: the real garbage collector looks for new kinds every half minute.
const WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a script has kept.
#[derive(Default)]
struct Kept {
    answers: BTreeMap<String, Value>,
    streams: BTreeMap<String, Stream>,
}

/// Makes the namespace of a script; the simulated server asks for none.
pub(crate) async fn create_namespace(client: &Client, name: &str) {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let (code, answer) = send(client, "POST", "/api/v1/namespaces", Some(("application/json", &body))).await;
    assert_eq!(code, 201, "{answer}");
}

/// For a moment after its CRD was made, a kind is answered with 429.
pub(crate) async fn await_lists(client: &Client) {
    for path in kinds::lists() {
        while send(client, "GET", &path, None).await.0 != 200 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// The answers to all steps, with what cannot be equal replaced.
pub(crate) async fn play(client: &Client, namespace: &str, script: &Script) -> String {
    let (mut kept, mut normal) = (Kept::default(), Normal::default());
    for step in &script.steps {
        if let Some(request) = &step.request {
            ask(client, namespace, step, request, &mut kept, &mut normal).await;
        } else if let Some(name) = &step.read {
            normal.says(format!("READ {name}"));
            let Some(stream) = kept.streams.get_mut(name) else { continue };
            let mut read = 0;
            while step.events.is_none_or(|events| read < events) {
                let Some(line) = stream.next().await else {
                    normal.says("end of the watch".to_owned());
                    break;
                };
                normal.event(without(line, &step.without));
                read += 1;
            }
        } else if let Some(path) = &step.wait {
            let found = wait(client, &kinds::path(&filled(path, &kept, true), namespace), &step.until).await;
            normal.says(format!("AWAIT {path}"));
            normal.learn(&found.1);
            normal.answer(found.0, without(found.1, &step.without));
        } else if let Some(path) = &step.write_often {
            write_often(client, &kinds::path(path, namespace)).await;
            normal.says(format!("WRITE OFTEN {path}"));
        } else {
            panic!("a step that does nothing: {step:?}");
        }
    }
    normal.told()
}

async fn ask(
    client: &Client,
    namespace: &str,
    step: &Step,
    request: &str,
    kept: &mut Kept,
    normal: &mut Normal,
) {
    let (method, short) = request.split_once(' ').unwrap();
    let path = kinds::path(&filled(short, kept, true), namespace);
    let body = body(method, short, step, kept);
    normal.asks(request, step.body.as_ref().or(step.merge.as_ref()).or(step.json.as_ref()));
    if method == "WATCH" {
        let response = client.send(request_of("GET", &path, None)).await.unwrap();
        let code = response.status().as_u16();
        if code == 200 {
            normal.says("200 watching".to_owned());
            kept.streams.insert(step.name.clone().unwrap(), Stream::of(response.into_body()));
        } else {
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            normal.answer(code, parsed(&bytes));
        }
        return;
    }
    let body = body.as_ref().map(|(type_, body)| (*type_, body));
    let (code, mut answer) = send(client, method, &path, body).await;
    if let Some(name) = &step.name {
        kept.answers.insert(name.clone(), answer.clone());
    }
    normal.learn(&answer);
    if !step.resources.is_empty()
        && let Some(resources) = answer["resources"].as_array_mut()
    {
        resources.retain(|resource| step.resources.iter().any(|name| resource["name"] == **name));
        resources.sort_by_key(|resource| resource["name"].to_string());
        for resource in resources {
            let fields = resource.as_object_mut().unwrap();
            fields.retain(|name, _| ["name", "kind", "namespaced"].contains(&name.as_str()));
        }
    }
    if !step.only.is_empty() {
        let places = step.only.iter();
        answer =
            places.map(|place| (place.clone(), answer.pointer(place).cloned().unwrap_or_default())).collect();
    }
    normal.answer(code, without(answer, &step.without));
}

fn without(mut answer: Value, places: &[String]) -> Value {
    for place in places {
        let (parent, last) = place.rsplit_once('/').unwrap();
        if let Some(Value::Object(fields)) = answer.pointer_mut(parent) {
            fields.remove(last);
        }
    }
    answer
}

/// The body of a step with its content type.
fn body(method: &str, short: &str, step: &Step, kept: &Kept) -> Option<(&'static str, Value)> {
    let bodies = [
        ("application/json", &step.body),
        ("application/merge-patch+json", &step.merge),
        ("application/json-patch+json", &step.json),
    ];
    let (type_, body) = bodies.into_iter().find_map(|(type_, body)| Some((type_, body.as_ref()?)))?;
    let mut body = filled_in(body, kept);
    if matches!(method, "POST" | "PUT")
        && let Some((api_version, kind)) = kinds::of(short)
    {
        for (field, value) in [("apiVersion", api_version), ("kind", kind)] {
            body.as_object_mut().unwrap().entry(field).or_insert_with(|| value.into());
        }
    }
    Some((type_, body))
}

fn filled_in(value: &Value, kept: &Kept) -> Value {
    match value {
        Value::String(text) => filled(text, kept, false).into(),
        Value::Array(entries) => entries.iter().map(|entry| filled_in(entry, kept)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), filled_in(field, kept))).collect()
        }
        other => other.clone(),
    }
}

/// A text in which `${name:/pointer}` is replaced; as part of a query, it is encoded.
fn filled(text: &str, kept: &Kept, encoded: bool) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (reference, after) = rest.split_once('}').unwrap();
    let (name, pointer) = reference.split_once(':').unwrap();
    // Where a server answers otherwise, the script goes on, and the difference is told.
    let found = kept.answers[name].pointer(pointer).and_then(Value::as_str).unwrap_or("nothing-is-there");
    let found =
        if encoded { utf8_percent_encode(found, NON_ALPHANUMERIC).to_string() } else { found.to_owned() };
    format!("{before}{found}{}", filled(after, kept, encoded))
}

fn request_of(method: &str, path: &str, body: Option<(&str, &Value)>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some((type_, _)) = body {
        request = request.header("content-type", type_);
    }
    request
        .body(body.map_or_else(Body::empty, |(_, body)| Body::from(body.to_string().into_bytes())))
        .unwrap()
}

async fn send(client: &Client, method: &str, path: &str, body: Option<(&str, &Value)>) -> (u16, Value) {
    let response = client.send(request_of(method, path, body)).await.unwrap();
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (code, parsed(&bytes))
}

/// Where nothing is served below a path, a server answers in plain text.
fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).trim().to_owned().into())
}

async fn wait(client: &Client, path: &str, until: &BTreeMap<String, Value>) -> (u16, Value) {
    let found = async {
        loop {
            let (code, answer) = send(client, "GET", path, None).await;
            let holds =
                |(place, wanted): (&String, &Value)| answer.pointer(place).unwrap_or(&Value::Null) == wanted;
            let is_so = if until.is_empty() { code == 404 } else { until.iter().all(holds) };
            if is_so {
                return (code, answer);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let found = tokio::time::timeout(WITHIN, found).await;
    found.unwrap_or_else(|_| (0, format!("not within {} s", WITHIN.as_secs()).into()))
}

/// More often than the simulated server remembers.
async fn write_often(client: &Client, path: &str) {
    for number in 0..1_100 {
        let body = json!({"metadata": {"annotations": {"number": number.to_string()}}});
        let (code, answer) = send(client, "PATCH", path, Some(("application/merge-patch+json", &body))).await;
        assert_eq!(code, 200, "{answer}");
    }
}
