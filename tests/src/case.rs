//! Runs the case files of tests/cases/rest; the README there describes their format.

use crate::{
    http::{Request, Response},
    matcher::mismatch,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

/// A host under test.
pub trait Target: Sync {
    /// `host:port` of the REST side.
    fn address(&self) -> String;
    /// A token for this identity, role `admin` or `client`.
    fn token(&self, user: &str, role: &str) -> String;
    /// The service credential of the internal API.
    fn service_credential(&self) -> String;
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Unique within its file.
    pub name: String,
    /// Requirements that the case proves; metadata.
    #[serde(default)]
    pub rows: Vec<String>,
    /// Spin variables that differ from the runner's defaults; such a case needs its own host.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Requests, in order.
    pub steps: Vec<Step>,
}

/// One request, or several equal ones.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    name: Option<String>,
    r#as: Option<String>,
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    body: Option<Value>,
    body_text: Option<String>,
    body_base64: Option<String>,
    body_repeat: Option<Repeat>,
    #[serde(default = "once")]
    repeat: u64,
    #[serde(default = "once")]
    parallel: u64,
    expect: Expectation,
    #[serde(default)]
    save: BTreeMap<String, String>,
}

fn once() -> u64 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    #[serde(default)]
    prefix: String,
    text: String,
    times: usize,
    #[serde(default)]
    suffix: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    status: Value,
    json: Option<Value>,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
}

impl Case {
    /// Whether only 503 is expected; a host that refuses to start with these variables fulfils the
    /// case too.
    #[must_use]
    pub fn is_about_no_service(&self) -> bool {
        self.steps.iter().all(|step| step.expect.status == 503)
    }
}

/// Every case of a folder, by file.
///
/// # Panics
/// When a file cannot be read or contains something else than cases, since a case that is not run
/// proves nothing.
#[must_use]
pub fn load(folder: &Path) -> Vec<(String, Case)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let json = files.iter().filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    json.flat_map(|path| {
        let text =
            fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let cases: Vec<Case> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        cases.into_iter().map(move |case| (file.clone(), case))
    })
    .collect()
}

/// Runs one case.
///
/// # Errors
/// The first answer that is not as expected.
pub fn run(case: &Case, target: &dyn Target) -> Result<(), String> {
    let mut variables = Variables::new();
    for (at, step) in case.steps.iter().enumerate() {
        let label = step.name.as_deref().map_or_else(
            || format!("step {}", at + 1),
            |name| format!("step {} ({name})", at + 1),
        );
        let failed = |why: String| format!("{label}, {} {}: {why}", step.method, step.path);
        step.run(&mut variables, target).map_err(failed)?;
    }
    Ok(())
}

impl Step {
    fn run(&self, variables: &mut Variables, target: &dyn Target) -> Result<(), String> {
        let mut last = None;
        for round in 0..self.repeat {
            if self.parallel == 1 {
                last = Some(self.one(variables, round, target)?);
                continue;
            }
            let shared = &*variables;
            last = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..self.parallel)
                    .map(|index| scope.spawn(move || self.one(shared, index, target)))
                    .collect();
                threads.into_iter().try_fold(None, |_, thread| {
                    thread.join().expect("a request thread").map(Some)
                })
            })?;
        }
        let last = last.ok_or("a step that sends nothing")?;
        for (name, from) in &self.save {
            let value = match from.strip_prefix("header:") {
                Some(header) => last.header(header).map(Value::from),
                None => last.json().pointer(from).cloned(),
            };
            variables.0.insert(
                name.clone(),
                value.ok_or_else(|| format!("nothing to save at {from}: {}", last.text()))?,
            );
        }
        Ok(())
    }

    fn one(
        &self,
        variables: &Variables,
        index: u64,
        target: &dyn Target,
    ) -> Result<Response, String> {
        let variables = variables.at(index);
        let request = self.request(&variables, target)?;
        let response = request
            .send(&target.address())
            .map_err(|error| format!("no answer: {error}"))?;
        self.check(&response, &variables).map_err(|why| {
            format!(
                "{why}; the answer was {} {}",
                response.status,
                shortened(&response)
            )
        })?;
        Ok(response)
    }

    fn request(&self, variables: &Variables, target: &dyn Target) -> Result<Request, String> {
        let mut request = Request::new(&self.method, &variables.text(&self.path)?);
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        if let Some(token) = self.authorization(variables, target)? {
            headers.insert("authorization".into(), format!("Bearer {token}"));
        }
        request.body = self.bytes(variables)?;
        if request.body.is_some() {
            headers.insert("content-type".into(), "application/json".into());
        }
        for (name, value) in &self.headers {
            match value {
                Some(value) => headers.insert(name.to_ascii_lowercase(), variables.text(value)?),
                None => headers.remove(&name.to_ascii_lowercase()),
            };
        }
        request.headers = headers.into_iter().collect();
        Ok(request)
    }

    fn authorization(
        &self,
        variables: &Variables,
        target: &dyn Target,
    ) -> Result<Option<String>, String> {
        match self.r#as.as_deref().unwrap_or("anonymous") {
            "anonymous" => Ok(None),
            "service" => Ok(Some(target.service_credential())),
            "admin" => Ok(Some(target.token(&variables.text("{{admin}}")?, "admin"))),
            who if IDENTITIES.contains(&who) => Ok(Some(
                target.token(&variables.text(&format!("{{{{{who}}}}}"))?, "client"),
            )),
            who => Err(format!("no such asker: {who}")),
        }
    }

    fn bytes(&self, variables: &Variables) -> Result<Option<Vec<u8>>, String> {
        Ok(
            match (
                &self.body,
                &self.body_text,
                &self.body_base64,
                &self.body_repeat,
            ) {
                (None, None, None, None) => None,
                (Some(body), None, None, None) => {
                    Some(variables.value(body)?.to_string().into_bytes())
                }
                (None, Some(text), None, None) => Some(variables.text(text)?.into_bytes()),
                (None, None, Some(text), None) => {
                    Some(STANDARD.decode(text).map_err(|error| error.to_string())?)
                }
                (None, None, None, Some(repeat)) => Some(
                    [
                        repeat.prefix.as_str(),
                        &repeat.text.repeat(repeat.times),
                        &repeat.suffix,
                    ]
                    .concat()
                    .into_bytes(),
                ),
                _ => return Err("more than one body".into()),
            },
        )
    }

    fn check(&self, response: &Response, variables: &Variables) -> Result<(), String> {
        let allowed: Vec<u64> = match &self.expect.status {
            Value::Array(list) => list.iter().filter_map(Value::as_u64).collect(),
            one => one.as_u64().into_iter().collect(),
        };
        if !allowed.contains(&u64::from(response.status)) {
            return Err(format!("wanted status {}", self.expect.status));
        }
        self.manners(response)?;
        for (name, expected) in &self.expect.headers {
            check_header(name, &variables.value(expected)?, response)?;
        }
        match &self.expect.json {
            None => Ok(()),
            Some(expected) => {
                match mismatch(&variables.value(expected)?, Some(&response.json()), "") {
                    None => Ok(()),
                    Some(why) => Err(why),
                }
            }
        }
    }

    /// Checks that apply to every answer.
    fn manners(&self, response: &Response) -> Result<(), String> {
        let (head, status) = (self.method == "HEAD", response.status);
        if !head && ![204, 304].contains(&status) && response.header("content-length").is_none() {
            return Err("no content-length".into());
        }
        if status < 400 || head {
            return Ok(());
        }
        if !response
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/json"))
        {
            return Err("an error that is no application/json".into());
        }
        let body: Value =
            serde_json::from_slice(&response.body).map_err(|_| "an error that is no JSON")?;
        let code = body["code"].as_str().unwrap_or_default();
        let sound = !code.is_empty()
            && code
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        if !sound || body["error"].as_str().is_none_or(str::is_empty) {
            return Err("an error without the texts `error` and `code`".into());
        }
        Ok(())
    }
}

fn check_header(name: &str, expected: &Value, response: &Response) -> Result<(), String> {
    let found = response.header(&name.to_ascii_lowercase());
    let fine = match expected {
        Value::String(word) if word == "$present" => found.is_some(),
        Value::String(word) if word == "$absent" => found.is_none(),
        Value::String(text) => found == Some(text),
        Value::Object(matcher) => match (matcher.get("$contains").and_then(Value::as_str), found) {
            (Some(part), Some(found)) => found.contains(part),
            (None, Some(found)) => mismatch(expected, Some(&found.into()), name).is_none(),
            (_, None) => false,
        },
        _ => return Err(format!("no such header expectation: {expected}")),
    };
    if fine {
        Ok(())
    } else {
        Err(format!("header {name}: wanted {expected}, found {found:?}"))
    }
}

fn shortened(response: &Response) -> String {
    response.text().chars().take(600).collect()
}

const IDENTITIES: [&str; 5] = ["owner", "member", "stranger", "friend", "troll"];

/// Values of `{{name}}`.
struct Variables(Map<String, Value>);

impl Variables {
    /// A fresh word, and the identities derived from it.
    fn new() -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let mut seed = now_ms()
            ^ (u64::from(std::process::id()) << 40)
            ^ COUNTER
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_mul(0x9e37_79b9);
        let mut run = String::new();
        for _ in 0..8 {
            run.push(char::from(
                b"abcdefghijklmnopqrstuvwxyz0123456789"[(seed % 36) as usize],
            ));
            seed /= 36;
        }
        let mut variables = Map::new();
        for who in IDENTITIES.iter().chain(&["admin"]) {
            variables.insert((*who).into(), format!("{who}-{run}").into());
        }
        variables.insert("server".into(), format!("srv-{run}").into());
        variables.insert("run".into(), run.into());
        Self(variables)
    }

    fn at(&self, index: u64) -> Self {
        let mut variables = self.0.clone();
        variables.insert("i".into(), index.into());
        variables.insert("now".into(), now_ms().into());
        Self(variables)
    }

    fn text(&self, text: &str) -> Result<String, String> {
        let pattern = Regex::new(r"\{\{(\w+)\}\}").expect("a sound pattern");
        let mut out = String::new();
        let mut at = 0;
        for found in pattern.captures_iter(text) {
            let (whole, name) = (found.get(0).expect("the match"), &found[1]);
            out.push_str(&text[at..whole.start()]);
            match self
                .0
                .get(name)
                .ok_or_else(|| format!("no variable {name}"))?
            {
                Value::String(value) => out.push_str(value),
                value => out.push_str(&value.to_string()),
            }
            at = whole.end();
        }
        Ok(out + &text[at..])
    }

    fn value(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => {
                let name = text
                    .strip_prefix("{{")
                    .and_then(|rest| rest.strip_suffix("}}"));
                match name.and_then(|name| self.0.get(name)) {
                    Some(saved) => saved.clone(),
                    None => Value::String(self.text(text)?),
                }
            }
            Value::Array(list) => Value::Array(
                list.iter()
                    .map(|item| self.value(item))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(key, item)| Ok((self.text(key)?, self.value(item)?)))
                    .collect::<Result<_, String>>()?,
            ),
            plain => plain.clone(),
        })
    }
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
