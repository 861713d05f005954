//! The proxies that the environment names.

use ef_model::Environment;
use http::{HeaderValue, Uri, uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::ClientError;

/// Which proxy is between here and an address.
pub(super) struct Proxies(Matcher);

/// A proxy that is between here and an address.
pub(super) enum Proxy {
    /// One that speaks HTTP, with or without TLS.
    Http {
        /// Where it is.
        address: Uri,
        /// What it is told of who asks.
        authorization: Option<HeaderValue>,
    },
    /// One that speaks SOCKS.
    Socks {
        /// Where it is.
        address: Uri,
        version: SocksVersion,
        /// The user and the password.
        login: Option<(String, String)>,
        /// Whether names are looked up here (`socks4`, `socks5`) and not by the proxy (`socks4a`, `socks5h`).
        looks_up_here: bool,
    },
}

/// The version of SOCKS that a proxy speaks.
pub(super) enum SocksVersion {
    V4,
    V5,
}

impl Proxies {
    /// Those of `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, or the same in upper case.
    pub(super) fn new(environment: &Environment) -> Result<Self, ClientError> {
        let set = |name| environment.get(name).map(|value| value.expose().as_str()).filter(|value| !value.is_empty());
        // Whoever names a proxy wants nothing to go past it, so that one which cannot be used is not passed over.
        let named = |names: [&'static str; 2]| {
            let found = names.into_iter().find_map(|variable| Some((variable, set(variable)?)));
            match found {
                Some((variable, url)) if !is_usable(url) => Err(ClientError::Proxy { variable }),
                _ => Ok(found.map_or("", |(_, url)| url)),
            }
        };
        let matcher = Matcher::builder()
            .http(named(["http_proxy", "HTTP_PROXY"])?)
            .https(named(["https_proxy", "HTTPS_PROXY"])?)
            .all(named(["all_proxy", "ALL_PROXY"])?)
            .no(set("no_proxy").or_else(|| set("NO_PROXY")).unwrap_or_default())
            .build();
        Ok(Self(matcher))
    }

    /// The one for this address, if there is one.
    pub(super) fn of(&self, target: &Uri) -> Option<Proxy> {
        self.0.intercept(target).map(|found| Proxy::of(&found))
    }

    /// What a proxy to which requests for this address are sent whole wants to know of who asks; it is said in each of them.
    pub(super) fn authorization(&self, target: &Uri) -> Option<HeaderValue> {
        match self.of(target)? {
            Proxy::Http { authorization, .. } if target.scheme() == Some(&uri::Scheme::HTTP) => authorization,
            _ => None,
        }
    }
}

impl Proxy {
    fn of(found: &Intercept) -> Self {
        let address = found.uri().clone();
        let (version, looks_up_here) = match address.scheme_str() {
            Some("socks4") => (SocksVersion::V4, true),
            Some("socks4a") => (SocksVersion::V4, false),
            Some("socks5") => (SocksVersion::V5, true),
            Some("socks5h") => (SocksVersion::V5, false),
            _ => return Self::Http { authorization: found.basic_auth().cloned(), address },
        };
        let login = found.raw_auth().map(|(user, password)| (user.to_owned(), password.to_owned()));
        Self::Socks { address: with_port(address, 1080), version, login, looks_up_here }
    }
}

/// Whether the matcher takes it. It leaves out in silence what it does not.
fn is_usable(url: &str) -> bool {
    let matcher = Matcher::builder().all(url).build();
    matcher.intercept(&Uri::from_static("http://localhost/")).is_some_and(|found| found.uri().host() != Some(""))
}

/// The address with this port, where it names none.
pub(super) fn with_port(address: Uri, port: u16) -> Uri {
    if address.port().is_some() {
        return address;
    }
    let authority = format!("{}:{port}", address.host().unwrap_or_default());
    with_authority(address, &authority)
}

/// The address with another host and port.
pub(super) fn with_authority(address: Uri, authority: &str) -> Uri {
    let mut parts = address.clone().into_parts();
    parts.authority = authority.parse().ok();
    Uri::from_parts(parts).unwrap_or(address)
}
