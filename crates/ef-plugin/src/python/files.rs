//! The digest of a Python plugin: of the files that it consists of.

use std::io;
use std::path::PathBuf;

use ef_model::Digest;
use sha2::{Digest as _, Sha256};

use crate::process::content_digest;

/// A plugin's file: the name that it has within the plugin, wherever that is installed, and where it is.
pub(super) type NamedFile = (String, PathBuf);

/// SHA-256 over the files, in the order given: of each the length of its name (8 bytes, big endian), its name, and the
/// SHA-256 of its content. `what` goes first, in the same way, without a content. A file that is listed but not there, as
/// happens with careless packages, counts as 32 zero bytes.
pub(super) fn digest(what: &str, files: &[NamedFile]) -> io::Result<Digest> {
    let mut whole = Sha256::new();
    add_name(&mut whole, what);
    for (name, path) in files {
        add_name(&mut whole, name);
        let content = match content_digest(path) {
            Ok(digest) => digest,
            Err(error) if error.kind() == io::ErrorKind::NotFound => [0; 32],
            Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        };
        whole.update(content);
    }
    Ok(Digest::from_bytes(whole.finalize().into()))
}

fn add_name(whole: &mut Sha256, name: &str) {
    whole.update(u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes());
    whole.update(name);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_digest_tells_names_and_contents_but_not_places() {
        let [here, there] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        for folder in [&here, &there] {
            fs::write(folder.path().join("a.py"), "one").expect("a file");
        }
        let of = |folder: &tempfile::TempDir, name: &str| {
            digest("p", &[(name.to_owned(), folder.path().join("a.py"))]).expect("a digest")
        };
        assert_eq!(of(&here, "a.py"), of(&there, "a.py"));
        assert_ne!(of(&here, "a.py"), of(&here, "b.py"));
        fs::write(there.path().join("a.py"), "two").expect("a file");
        assert_ne!(of(&here, "a.py"), of(&there, "a.py"));
        let gone = digest("p", &[("a.py".to_owned(), here.path().join("gone"))]).expect("a digest");
        assert_ne!(gone, of(&here, "a.py"));
    }
}
