//! Certificates for a server and its clients.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Makes in a folder: `ca.pem`, a root; `server.pem` and `server.key`, a certificate of it for these names and addresses;
/// `client.pem` and `client.key`, one of it for a client; `other.pem`, a root that has signed nothing.
pub(crate) fn make(folder: &Path, hosts: &[&str]) -> Result<(), String> {
    let make = || -> Result<[(&str, String); 6], rcgen::Error> {
        let [root, other] = [root("test root")?, root("another root")?];
        let [server_key, client_key] = [KeyPair::generate()?, KeyPair::generate()?];
        let [mut server, mut client] = [CertificateParams::new(owned(hosts))?, CertificateParams::new([])?];
        server.is_ca = IsCa::ExplicitNoCa;
        client.is_ca = IsCa::ExplicitNoCa;
        client.distinguished_name.push(DnType::CommonName, "test client");
        Ok([
            ("ca.pem", root.pem()),
            ("other.pem", other.pem()),
            ("server.pem", server.signed_by(&server_key, &root)?.pem()),
            ("server.key", server_key.serialize_pem()),
            ("client.pem", client.signed_by(&client_key, &root)?.pem()),
            ("client.key", client_key.serialize_pem()),
        ])
    };
    for (name, text) in make().map_err(|error| error.to_string())? {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        #[cfg(unix)]
        if name.ends_with(".key") {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(&path, mode).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    Ok(())
}

fn owned(hosts: &[&str]) -> Vec<String> {
    hosts.iter().map(|host| (*host).to_owned()).collect()
}

fn root(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut root = CertificateParams::new([])?;
    root.distinguished_name.push(DnType::CommonName, name);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(root, KeyPair::generate()?)
}
