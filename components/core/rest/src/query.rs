//! Query parameters, decoded once. Of a name that comes twice the first value counts.

use crate::path::{InvalidPath, decoded};

/// The decoded parameters of a query.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

/// A parameter outside its bounds; the text names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidParameter(pub String);

impl Query {
    /// Decodes a query: the text after `?`.
    ///
    /// # Errors
    /// [`InvalidPath`] when it is not percent-encoded UTF-8.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        text.split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((
                    decoded(name, true).ok_or(InvalidPath)?,
                    decoded(value, true).ok_or(InvalidPath)?,
                ))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// A parameter's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A parameter that is `true` or `false`; `false` where it is absent.
    ///
    /// # Errors
    /// Any other value.
    pub fn flag(&self, name: &str) -> Result<bool, InvalidParameter> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(InvalidParameter(format!("{name} must be true or false"))),
        }
    }

    /// A parameter that is a whole number from `min` to `max`; `default` where it is absent.
    ///
    /// # Errors
    /// Any other value.
    pub fn number(
        &self,
        name: &str,
        default: u64,
        min: u64,
        max: u64,
    ) -> Result<u64, InvalidParameter> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|number| (min..=max).contains(number) && !text.starts_with('+'))
            .ok_or_else(|| {
                InvalidParameter(format!("{name} must be a whole number from {min} to {max}"))
            })
    }

    /// A parameter that is the key of an item, which never holds control characters; empty where it is absent.
    ///
    /// # Errors
    /// A value with control characters.
    pub fn key(&self, name: &str) -> Result<&str, InvalidParameter> {
        let key = self.get(name).unwrap_or_default();
        if key.chars().any(char::is_control) {
            return Err(InvalidParameter(format!(
                "{name} must be what `next` of the page before said"
            )));
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn parameters_are_decoded_and_bounded() {
        let query = Query::parse("a=1&b=x+y%20z&&flag=true&c&a=2&d=+7&e=%07").unwrap();
        assert_eq!(query.get("b"), Some("x y z"));
        assert_eq!((query.get("c"), query.get("f")), (Some(""), None));
        assert_eq!(query.flag("flag"), Ok(true));
        assert_eq!(query.flag("f"), Ok(false));
        assert!(query.flag("a").is_err());
        assert_eq!(query.number("a", 9, 0, 5), Ok(1), "the first value counts");
        assert_eq!(query.number("f", 9, 0, 5), Ok(9));
        for name in ["b", "c", "d"] {
            assert!(query.number(name, 9, 0, 9).is_err(), "{name}");
        }
        assert!(query.number("a", 9, 2, 5).unwrap_err().0.contains("from 2"));
        assert_eq!(query.key("f"), Ok(""));
        assert!(query.key("e").is_err());
        assert!(Query::parse("a=%zz").is_err());
    }
}
