//! The requests of each command.

use super::{
    Answer, ConsentAnswer, GrantChange, One, Rule, What,
    client::{self, Client},
};
use anyhow::Result;
use serde_json::{Value, json};

/// Sends the requests of a command and returns the last answer; null for commands that have none of their own.
///
/// # Errors
/// The host cannot be reached, or refuses.
pub(super) async fn ask(client: &Client, what: &What) -> Result<Value> {
    let below = |one: &One, rest: &str| format!("/api/plugins/{}{rest}", one.id);
    match what {
        What::List => client.get("/api/plugins").await,
        What::Info(one) => client.get(&below(one, "")).await,
        What::Enable(one) => client.send("POST", &below(one, "/enable"), None).await,
        What::Disable(one) => client.send("POST", &below(one, "/disable"), None).await,
        What::Reload(one) => client.send("POST", &below(one, "/reload"), None).await,
        What::Events(one) => client.get(&below(one, "/events")).await,
        What::Grants { one, change } => {
            let path = below(one, "/grants");
            match change {
                Some(GrantChange::Give(rule)) => put_grants(client, &path, rule, false).await?,
                Some(GrantChange::Deny(rule)) => put_grants(client, &path, rule, true).await?,
                Some(GrantChange::Revoke { capabilities }) => {
                    for capability in capabilities {
                        client
                            .send(
                                "DELETE",
                                &format!("{path}?capability={}", client::query(capability)),
                                None,
                            )
                            .await?;
                    }
                }
                None => {}
            }
            client.get(&path).await
        }
        What::Consents {
            answer: Some(answer),
            ..
        } => {
            let (decision, Answer { id, remember }) = match answer {
                ConsentAnswer::Allow(answer) => ("allow", answer),
                ConsentAnswer::Deny(answer) => ("deny", answer),
            };
            let body = json!({"decision": decision, "remember": remember});
            let decided = client
                .send(
                    "POST",
                    &format!("/api/consents/{}", client::query(id)),
                    Some(&body),
                )
                .await?;
            Ok(json!({"consents": [decided]}))
        }
        What::Consents { all, answer: None } => {
            client
                .get(if *all {
                    "/api/consents"
                } else {
                    "/api/consents?state=pending"
                })
                .await
        }
        What::Audit { recent, plugin } => {
            let plugin = plugin
                .as_ref()
                .map(|plugin| format!("&plugin={plugin}"))
                .unwrap_or_default();
            client
                .get(&format!("/api/plugins/audit?recent={recent}{plugin}"))
                .await
        }
        What::Logs { .. } | What::Check(_) | What::Doctor => Ok(Value::Null),
    }
}

async fn put_grants(client: &Client, path: &str, rule: &Rule, deny: bool) -> Result<()> {
    let mut body = json!({"deny": deny, "expiresInMs": rule.seconds.map(|seconds| seconds.saturating_mul(1_000))});
    for (key, list) in [("hosts", &rule.hosts), ("names", &rule.names)] {
        if !list.is_empty() {
            body["scope"][key] = json!(list);
        }
    }
    if rule.capabilities.is_empty() {
        body["all"] = true.into();
        client.send("PUT", path, Some(&body)).await?;
    }
    for capability in &rule.capabilities {
        body["capability"] = capability.as_str().into();
        client.send("PUT", path, Some(&body)).await?;
    }
    Ok(())
}
