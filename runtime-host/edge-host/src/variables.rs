//! Application variables and the templates that use them: `{{ name }}`, nothing else.
//!
//! A value comes from the first of these that has one: the caller's overrides, `SPIN_VARIABLE_<NAME>` in the
//! environment, the manifest's default. After [`Resolver::new`] each variable of the manifest has a value, which stays
//! the same while the host runs. No error text contains a value.

use crate::manifest::Variable;
use std::collections::BTreeMap;
use thiserror::Error;

/// Prefix of the environment variables that set application variables, as in Spin.
const ENVIRONMENT_PREFIX: &str = "SPIN_VARIABLE_";

/// Why variables are refused. No text carries a value.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum VariableError {
    /// The name breaks Spin's rules.
    #[error(
        "variable `{0}`: a name is lower-case letters, digits and single underscores, begins with a letter and does not end with an underscore"
    )]
    Name(String),
    /// Required, and no value is set.
    #[error("variable `{0}` is required: set {ENVIRONMENT_PREFIX}{1} or pass a value")]
    Missing(String, String),
    /// The caller sets a variable that the manifest does not have.
    #[error("variable `{0}` is not in the manifest; known: {1}")]
    Unknown(String, String),
    /// A template names a variable that the manifest does not have.
    #[error("template `{0}` uses the variable `{1}`, which is not in [variables]")]
    UnknownInTemplate(String, String),
    /// A template's braces do not close.
    #[error("template `{0}`: `{{{{` without `}}}}`")]
    Unclosed(String),
    /// The environment holds something that is not UTF-8.
    #[error("environment variable {0} is not UTF-8")]
    NotUtf8(String),
}

/// The values of all application variables.
#[derive(Clone, Default)]
pub struct Resolver {
    values: BTreeMap<String, String>,
}

impl Resolver {
    /// Takes the manifest's variables and finds a value for each.
    ///
    /// # Errors
    /// On bad names, unknown overrides and missing required values.
    pub fn new(
        declared: &BTreeMap<String, Variable>,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, VariableError> {
        if let Some(unknown) = overrides.keys().find(|name| !declared.contains_key(*name)) {
            let known = declared
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            return Err(VariableError::Unknown(unknown.clone(), known));
        }
        let mut values = BTreeMap::new();
        for (name, variable) in declared {
            check_name(name)?;
            let value = match overrides.get(name).cloned() {
                Some(value) => Some(value),
                None => from_environment(name)?.or_else(|| variable.default.clone()),
            };
            let value =
                value.ok_or_else(|| VariableError::Missing(name.clone(), name.to_uppercase()))?;
            values.insert(name.clone(), value);
        }
        Ok(Self { values })
    }

    /// Fills in a template.
    ///
    /// # Errors
    /// When its braces do not close or it names an unknown variable.
    pub fn fill(&self, template: &str) -> Result<String, VariableError> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((literal, after)) = rest.split_once("{{") {
            let (name, tail) = after
                .split_once("}}")
                .ok_or_else(|| VariableError::Unclosed(template.to_owned()))?;
            let name = name.trim();
            let value = self.values.get(name);
            let value = value.ok_or_else(|| {
                VariableError::UnknownInTemplate(template.to_owned(), name.to_owned())
            })?;
            filled.push_str(literal);
            filled.push_str(value);
            rest = tail;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// Checks a variable's name by Spin's rules.
///
/// # Errors
/// [`VariableError::Name`].
pub fn check_name(name: &str) -> Result<(), VariableError> {
    let legal = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if legal
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('_')
        && !name.contains("__")
    {
        return Ok(());
    }
    Err(VariableError::Name(name.to_owned()))
}

fn from_environment(name: &str) -> Result<Option<String>, VariableError> {
    let key = format!("{ENVIRONMENT_PREFIX}{}", name.to_uppercase());
    match std::env::var(&key) {
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(VariableError::NotUtf8(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(entries: &[(&str, Option<&str>)]) -> BTreeMap<String, Variable> {
        let variable = |default: &Option<&str>| Variable {
            default: default.map(str::to_owned),
            ..Variable::default()
        };
        entries
            .iter()
            .map(|(name, default)| ((*name).to_owned(), variable(default)))
            .collect()
    }

    #[test]
    fn overrides_beat_defaults_and_templates_are_filled() {
        let overrides = BTreeMap::from([("b".to_owned(), "2".to_owned())]);
        let resolver = Resolver::new(&declared(&[("a", Some("1")), ("b", None)]), &overrides)
            .expect("resolver");
        assert_eq!(resolver.fill("x{{ a }}y{{b}}z").as_deref(), Ok("x1y2z"));
        assert_eq!(resolver.fill("plain").as_deref(), Ok("plain"));
        assert_eq!(
            resolver.fill("{{ a"),
            Err(VariableError::Unclosed("{{ a".into()))
        );
        assert_eq!(
            resolver.fill("{{ c }}"),
            Err(VariableError::UnknownInTemplate(
                "{{ c }}".into(),
                "c".into()
            ))
        );
    }

    #[test]
    fn missing_and_unknown_are_named() {
        let missing = Resolver::new(&declared(&[("need", None)]), &BTreeMap::new()).err();
        assert_eq!(
            missing,
            Some(VariableError::Missing("need".into(), "NEED".into()))
        );
        let unknown = Resolver::new(
            &declared(&[("a", Some(""))]),
            &BTreeMap::from([("b".into(), String::new())]),
        )
        .err();
        assert_eq!(
            unknown,
            Some(VariableError::Unknown("b".into(), "a".into()))
        );
        for bad in ["", "A", "1a", "_a", "a_", "a__b", "a-b"] {
            assert_eq!(check_name(bad), Err(VariableError::Name(bad.into())));
        }
    }
}
