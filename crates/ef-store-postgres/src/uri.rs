//! What a `postgres://` URI says, as libpq reads it.
//!
//! Nothing of a URI that cannot be read is quoted: what is out of place may be a part of the password.

use std::collections::BTreeMap;

use ef_model::Secret;

/// The schemes of Postgres store URIs, without `://`.
pub const SCHEMES: [&str; 2] = ["postgres", "postgresql"];

/// The parameters that may follow the `?`.
const PARAMETERS: [&str; 14] = [
    "application_name",
    "connect_timeout",
    "dbname",
    "host",
    "options",
    "passfile",
    "password",
    "port",
    "schema",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// What a URI says, decoded. The keys are parameters' names; what stands in front of the `?` goes by the name of the
/// parameter that says the same.
pub(crate) struct UriParts(BTreeMap<&'static str, Secret>);

impl UriParts {
    /// Takes a URI apart.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without quoting it.
    pub(crate) fn parse(uri: &str) -> Result<Self, String> {
        let rest = SCHEMES
            .iter()
            .find_map(|scheme| uri.strip_prefix(scheme)?.strip_prefix("://"))
            .ok_or("its URI does not begin with postgres:// or postgresql://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if rest.contains(['@', '#']) {
            return Err(
                "its URI has an '@' or '#' behind the host: in a user's name, a password or a parameter, write \
                        '@', ':', '/', '?', '#' and '%' percent-encoded"
                    .to_owned(),
            );
        }
        let mut parts = Self(BTreeMap::new());
        parts.read_authority(authority)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        parts.set("dbname", path.trim_start_matches('/'))?;
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').ok_or("its URI has a parameter without a value")?;
            let known = PARAMETERS.into_iter().find(|known| *known == name).ok_or_else(|| {
                format!("its URI has an unknown parameter; those that are known are {}", PARAMETERS.join(", "))
            })?;
            parts.set(known, value)?;
        }
        Ok(parts)
    }

    fn read_authority(&mut self, authority: &str) -> Result<(), String> {
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        self.set("user", user)?;
        self.set("password", password)?;
        if host.contains(',') {
            return Err("its URI names several hosts, of which only one is supported".to_owned());
        }
        let (host, port) = match host.strip_prefix('[') {
            Some(address) => {
                let (address, port) = address.split_once(']').ok_or("the address in its URI lacks a ']'")?;
                (address, port.strip_prefix(':').unwrap_or(port))
            }
            None => host.split_once(':').unwrap_or((host, "")),
        };
        self.set("host", host)?;
        self.set("port", port)
    }

    /// Keeps a value, unless it is empty.
    fn set(&mut self, name: &'static str, encoded: &str) -> Result<(), String> {
        if !encoded.is_empty() {
            let value = decode(encoded).ok_or_else(|| format!("the {name} in its URI is not percent-encoded UTF-8"))?;
            self.0.insert(name, Secret::new(value));
        }
        Ok(())
    }

    /// The value of a parameter, if it was given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.expose().as_str())
    }
}

/// A text without its percent-encoding, unless that is broken or hides a NUL, which no value can hold.
fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte == b'%' {
            let (digits, behind) = rest.split_at_checked(2)?;
            let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(digit(digits[0])? << 4 | digit(digits[1])?);
            rest = behind;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// A text as a part of a URI.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(uri: &str) -> Vec<(&'static str, String)> {
        let UriParts(parts) = UriParts::parse(uri).expect("a URI");
        parts.into_iter().map(|(name, value)| (name, value.expose().clone())).collect()
    }

    fn fault(uri: &str) -> String {
        UriParts::parse(uri).map(|_| ()).expect_err("not a URI of ours")
    }

    #[test]
    fn each_part_of_a_uri_is_found_and_decoded() {
        let pairs = |pairs: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
            pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
        };
        assert_eq!(parts("postgres://"), []);
        assert_eq!(
            parts("postgresql://ada:p%40ss%2F@db.example.org:6432/evals?sslmode=verify-full&schema=team_a"),
            pairs(&[
                ("dbname", "evals"),
                ("host", "db.example.org"),
                ("password", "p@ss/"),
                ("port", "6432"),
                ("schema", "team_a"),
                ("sslmode", "verify-full"),
                ("user", "ada"),
            ])
        );
        assert_eq!(parts("postgres://[::1]:7/x"), pairs(&[("dbname", "x"), ("host", "::1"), ("port", "7")]));
        assert_eq!(
            parts("postgres://%2Frun%2Fpg/x?user=a+b"),
            pairs(&[("dbname", "x"), ("host", "/run/pg"), ("user", "a+b")])
        );
        assert_eq!(parts("postgres:///x?host=/run/pg"), pairs(&[("dbname", "x"), ("host", "/run/pg")]));
    }

    #[test]
    fn a_uri_that_cannot_be_read_is_refused_without_quoting_it() {
        for uri in [
            "postgres://ada:geheim/x@host/db",
            "postgres://ada:geheim?x@host/db",
            "postgres://ada:geheim#x@host/db",
            "postgres://ada:geheim%zz@host/db",
            "postgres://ada:geheim%f@host/db",
            "postgres://ada:geheim%00@host/db",
            "postgres://ada:geheim@one,two/db",
            "postgres://ada:geheim@host/db?geheim=1",
            "postgres://ada:geheim@host/db?geheim",
            "postgres://ada:geheim@[::1/db",
            "mysql://ada:geheim@host/db",
        ] {
            let fault = fault(uri);
            assert!(!fault.contains("geheim"), "{fault}");
        }
        assert!(fault("postgres://h/d?ssl=on").contains("sslmode"), "the known ones are listed");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(postgres://)?[a-z:/@?#%&=\\[\\],é0-9]{0,40}") {
            let _ = UriParts::parse(&text);
        }

        #[test]
        fn what_was_encoded_is_decoded(password in "[^\\x00]{1,20}", user in "[^\\x00]{1,20}") {
            let uri = format!("postgres://{}:{}@host/db", encode(&user), encode(&password));
            let parts = UriParts::parse(&uri).expect("a URI");
            prop_assert_eq!(parts.get("password"), Some(password.as_str()));
            prop_assert_eq!(parts.get("user"), Some(user.as_str()));
        }
    }
}
