//! Certificates for a server and its clients.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Makes in a folder: `ca.pem`, a root; `server.pem` and `server.key`, a certificate of it for the host; `other.pem`, a root
/// that has signed nothing.
pub(super) fn make(folder: &Path, host: &str) -> Result<(), String> {
    let make = || -> Result<[(&str, String); 4], rcgen::Error> {
        let [root, other] = [root("test root")?, root("another root")?];
        let key = KeyPair::generate()?;
        let mut server = CertificateParams::new([host.to_owned()])?;
        server.is_ca = IsCa::ExplicitNoCa;
        let certificate = server.signed_by(&key, &root)?;
        Ok([
            ("ca.pem", root.pem()),
            ("other.pem", other.pem()),
            ("server.pem", certificate.pem()),
            ("server.key", key.serialize_pem()),
        ])
    };
    for (name, text) in make().map_err(|error| error.to_string())? {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        #[cfg(unix)]
        if name == "server.key" {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(&path, mode).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    Ok(())
}

fn root(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut root = CertificateParams::new([])?;
    root.distinguished_name.push(DnType::CommonName, name);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(root, KeyPair::generate()?)
}
