//! Every target holds for its seeds and for everything that ever broke it, on the toolchain that the program is built
//! with.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ef_fuzz::TARGETS;

/// The files of a folder in their order; none where it is not there.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).expect("a name in ASCII")
}

#[test]
fn every_seed_is_taken_unless_its_name_says_that_it_is_not() {
    for target in TARGETS {
        let seeds = files(&format!("seeds/{}", target.name));
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for seed in seeds {
            let taken = (target.check)(&fs::read(&seed).expect("a seed"));
            assert_eq!(taken, !stem(&seed).starts_with("refused"), "{}", seed.display());
        }
    }
}

#[test]
fn what_broke_a_target_once_does_not_break_it_again() {
    for target in TARGETS {
        for crash in files(&format!("crashes/{}", target.name)) {
            let bytes = fs::read(&crash).expect("a crash");
            let held = std::panic::catch_unwind(|| (target.check)(&bytes)).is_ok();
            assert!(held, "{} breaks {} again", crash.display(), target.name);
        }
    }
}

#[test]
fn no_seed_that_is_cut_or_has_a_byte_changed_breaks_its_target() {
    // One of every few places, so that a second is enough.
    for target in TARGETS {
        for seed in files(&format!("seeds/{}", target.name)) {
            let bytes = fs::read(&seed).expect("a seed");
            let step = bytes.len() / 24 + 1;
            for at in (0..bytes.len()).step_by(step) {
                (target.check)(&bytes[..at]);
                let mut changed = bytes.clone();
                changed[at] = changed[at].wrapping_add(1 + (at % 7) as u8);
                (target.check)(&changed);
            }
        }
    }
}

#[test]
fn every_target_has_a_binary_and_every_folder_a_target() {
    let known: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    let binaries = files("libfuzzer/fuzz_targets");
    assert_eq!(binaries.iter().map(|path| stem(path)).collect::<BTreeSet<_>>(), known);
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("libfuzzer/Cargo.toml"));
    let manifest = manifest.expect("the manifest of the binaries");
    for target in known.iter() {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} is not in libfuzzer/Cargo.toml");
    }
    for folder in files("seeds").iter().chain(&files("crashes")) {
        assert!(known.contains(stem(folder)), "{} belongs to no target", folder.display());
    }
}
