//! TLS of a receiver, with certificates of its own root.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use crate::certificates;

/// Whether a receiver speaks TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tls {
    /// It does not.
    #[default]
    Off,
    /// It does, and nothing else.
    On,
    /// It does, and takes only clients with a certificate of its own root.
    ClientCertificate,
}

/// The folder with the certificates.
pub(super) struct Certificates(TempDir);

impl Certificates {
    pub(super) fn make() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        certificates::make(folder.path(), &["127.0.0.1", "localhost"]).map_err(io::Error::other)?;
        Ok(Self(folder))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn acceptor(&self, tls: Tls) -> io::Result<TlsAcceptor> {
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let config = if tls == Tls::ClientCertificate {
            let mut roots = RootCertStore::empty();
            for root in certificates_of(&self.file("ca.pem"))? {
                roots.add(root).map_err(io::Error::other)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().map_err(io::Error::other)?)
        } else {
            config.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_file(self.file("server.key")).map_err(io::Error::other)?;
        let chain = certificates_of(&self.file("server.pem"))?;
        let mut config = config.with_single_cert(chain, key).map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn certificates_of(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(io::Error::other)?;
    certificates.collect::<Result<_, _>>().map_err(io::Error::other)
}
