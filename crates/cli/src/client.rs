//! The one place that talks. It lists and gets; its one patch is a dry run, which the server does not keep.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use domain::object::{Kind, ObjectKey, api_version};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use runtime::answer::Refusal;
use serde::Deserialize;
use serde_json::Value;

use crate::object::Object;
use crate::read_error::{ReadError, innermost};

/// How long a server may take to be there, and to go on with an answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Objects of one page of a list.
const PAGE: u32 = 500;

/// A server, and what is known of it.
pub(crate) struct Live {
    client: Client,
    server: String,
    /// The program that gives the credentials, if one does.
    program: Option<String>,
    /// The namespace of the context.
    pub(crate) namespace: String,
    /// The versions that the server has of a group, the preferred first; filled when asked.
    groups: BTreeMap<&'static str, Vec<String>>,
}

/// How a page of a list is cut.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMeta,
    #[serde(default, deserialize_with = "domain::object::null_is_default")]
    items: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Group {
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

#[derive(Deserialize)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    kind: String,
}

impl Live {
    /// The server of a kubeconfig and context; of the pod, where there is no kubeconfig.
    pub(crate) async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self, ReadError> {
        let options = KubeConfigOptions { context: context.map(Into::into), ..KubeConfigOptions::default() };
        let read = match kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let config = match read {
            Ok(read) => Config::from_custom_kubeconfig(read, &options).await,
            Err(error) => match Config::incluster() {
                Ok(config) if kubeconfig.is_none() && context.is_none() => Ok(config),
                _ => Err(error),
            },
        };
        let mut config = config.map_err(|error| ReadError::of_kubeconfig(&error))?;
        // Somebody sits in front of it.
        config.connect_timeout = Some(CONNECT_LIMIT);
        config.read_timeout = Some(ANSWER_LIMIT);
        let (server, namespace) = (config.cluster_url.to_string(), config.default_namespace.clone());
        let server = server.trim_end_matches('/').to_owned();
        let program = config.auth_info.exec.as_ref().and_then(|exec| exec.command.clone());
        let client = Client::try_from(config).map_err(|error| match &error {
            kube::Error::Auth(error) => ReadError::of_credentials(error, program.as_deref()),
            other => ReadError::Kubeconfig(innermost(other)),
        })?;
        Ok(Self { client, server, program, namespace, groups: BTreeMap::new() })
    }

    /// All objects of a kind, in a namespace or everywhere.
    pub(crate) async fn list(
        &mut self,
        kind: Kind,
        namespace: Option<&str>,
    ) -> Result<Vec<Object>, ReadError> {
        let version = self.version(kind).await?;
        self.list_resource(&api_version(kind.group, &version), kind.kind, kind.plural, namespace).await
    }

    /// One object of a kind that another object names; `None` where it or its kind is not there.
    pub(crate) async fn get_named(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Object>, ReadError> {
        let root = root(api_version);
        let Some(resources) = self.ask::<Resources>("get", kind, "", &root).await? else { return Ok(None) };
        let plain = |resource: &&Resource| resource.kind == kind && !resource.name.contains('/');
        let Some(resource) = resources.resources.iter().find(plain) else { return Ok(None) };
        let place = in_namespace(Some(namespace));
        let path = format!("{root}/namespaces/{namespace}/{}/{name}", resource.name);
        let body = self.ask::<Value>("get", &qualified(api_version, &resource.name), &place, &path).await?;
        Ok(body.and_then(Object::read))
    }

    /// Whether the server has a group at all.
    pub(crate) async fn serves(&mut self, kind: Kind) -> Result<bool, ReadError> {
        match self.version(kind).await {
            Ok(_) => Ok(true),
            Err(ReadError::NotInstalled | ReadError::NoClusterApi | ReadError::OtherVersions { .. }) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The version of the API server.
    pub(crate) async fn server_version(&self) -> Result<String, ReadError> {
        let info = self.ask::<Value>("get", "version", "", "/version").await?;
        let version = info.as_ref().and_then(|info| info.get("gitVersion")).and_then(Value::as_str);
        Ok(version.unwrap_or("unknown").to_owned())
    }

    /// Has the server judge a JSON Patch, without keeping it.
    pub(crate) async fn try_patch(
        &self,
        api_version: &str,
        plural: &str,
        key: &ObjectKey,
        operations: &[Value],
    ) -> Result<(), Refusal> {
        let path = format!("{}/namespaces/{}/{plural}/{}", root(api_version), key.namespace, key.name);
        let unsent = |message: String| Refusal::Unavailable { message, retry_after: None };
        let body = serde_json::to_vec(operations).map_err(|error| unsent(error.to_string()))?;
        let request = http::Request::patch(format!("{path}?dryRun=All&fieldManager=kubectl-upgrader"))
            .header(http::header::CONTENT_TYPE, "application/json-patch+json")
            .body(body)
            .map_err(|error| unsent(error.to_string()))?;
        self.client.request_text(request).await.map(drop).map_err(|error| Refusal::of(&error))
    }

    async fn version(&mut self, kind: Kind) -> Result<String, ReadError> {
        if kind.group.is_empty() {
            return Ok(kind.versions.first().copied().unwrap_or_default().to_owned());
        }
        if !self.groups.contains_key(kind.group) {
            let path = format!("/apis/{}", kind.group);
            let group = self.ask::<Group>("get", kind.group, "", &path).await?;
            let versions = group.map(|group| group.versions.into_iter().map(|entry| entry.version).collect());
            self.groups.insert(kind.group, versions.unwrap_or_default());
        }
        let served = self.groups.get(kind.group).map(Vec::as_slice).unwrap_or_default();
        let readable = kind.versions.iter().find(|version| served.iter().any(|served| served == *version));
        readable.map(|version| (*version).to_owned()).ok_or_else(|| {
            if served.is_empty() {
                return not_installed(kind.group);
            }
            let advice = if kind.group == api::upgrader::GROUP {
                "install the CRDs of this version"
            } else {
                "bring it to a version that is supported"
            };
            let (served, known) = (served.join(" and "), kind.versions.join(" and "));
            ReadError::OtherVersions { group: kind.group, served, known, advice }
        })
    }

    async fn list_resource(
        &self,
        api_version: &str,
        kind: &str,
        plural: &str,
        namespace: Option<&str>,
    ) -> Result<Vec<Object>, ReadError> {
        let root = root(api_version);
        let path = match namespace {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}"),
            None => format!("{root}/{plural}"),
        };
        let resource = qualified(api_version, plural);
        let (mut objects, mut next) = (Vec::new(), None::<String>);
        loop {
            let more = next.map(|next| format!("&continue={}", encoded(&next))).unwrap_or_default();
            let page = format!("{path}?limit={PAGE}{more}");
            let page = match self.ask::<Page>("list", &resource, &in_namespace(namespace), &page).await {
                // Between two pages the server has forgotten where it was: begin again, with all in one.
                Err(ReadError::Answered { code: 410, .. }) if !more.is_empty() => {
                    objects.clear();
                    self.ask::<Page>("list", &resource, &in_namespace(namespace), &path).await?
                }
                answered => answered?,
            };
            let group = api_version.split_once('/').map_or("", |(group, _)| group);
            let page = page.ok_or_else(|| not_installed(group))?;
            for mut item in page.items {
                // Items of a list do not say what they are.
                if let Some(fields) = item.as_object_mut() {
                    fields.insert("apiVersion".to_owned(), api_version.into());
                    fields.insert("kind".to_owned(), kind.into());
                }
                objects.extend(Object::read(item));
            }
            next = page.metadata.next.filter(|next| !next.is_empty());
            if next.is_none() {
                return Ok(objects);
            }
        }
    }

    /// One GET; `None` where the server answers 404.
    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        verb: &'static str,
        resource: &str,
        place: &str,
        path: &str,
    ) -> Result<Option<T>, ReadError> {
        let server = || self.server.clone();
        let request = http::Request::get(path).body(Vec::new());
        let request =
            request.map_err(|error| ReadError::Unreadable { server: server(), cause: error.to_string() })?;
        match self.client.request_text(request).await {
            Ok(text) => match serde_json::from_str(&text) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(ReadError::Unreadable { server: server(), cause: error.to_string() }),
            },
            Err(kube::Error::Api(status)) => match status.code {
                404 => Ok(None),
                401 => Err(ReadError::Unauthorized(server())),
                403 if place.is_empty() => Err(ReadError::Undiscoverable(path.to_owned())),
                403 => {
                    Err(ReadError::Forbidden { verb, resource: resource.to_owned(), place: place.to_owned() })
                }
                code => Err(ReadError::Answered {
                    server: server(),
                    code,
                    message: crate::state::one_line(&status.message),
                }),
            },
            Err(kube::Error::Auth(error)) => Err(ReadError::of_credentials(&error, self.program.as_deref())),
            Err(error) => Err(ReadError::Unreachable { server: server(), cause: innermost(&error) }),
        }
    }
}

/// A token may hold what has a meaning in a query.
fn encoded(token: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    token.bytes().map(one).collect()
}

fn not_installed(group: &str) -> ReadError {
    if group == api::upgrader::GROUP { ReadError::NotInstalled } else { ReadError::NoClusterApi }
}

fn root(api_version: &str) -> String {
    if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") }
}

/// `plural.group`, as RBAC and kubectl write it.
fn qualified(api_version: &str, plural: &str) -> String {
    api_version.split_once('/').map_or_else(|| plural.to_owned(), |(group, _)| format!("{plural}.{group}"))
}

fn in_namespace(namespace: Option<&str>) -> String {
    namespace
        .map_or_else(|| "in all namespaces".to_owned(), |namespace| format!("in the namespace {namespace}"))
}
