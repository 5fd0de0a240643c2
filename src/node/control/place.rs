//! Where the monitor's socket is: one rule for the server and its clients.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The socket when the configuration and the command line name none: `/run/imsbox/monitor.sock` for root, else
/// `$XDG_RUNTIME_DIR/imsbox.sock` if that folder exists, else `/tmp/imsbox-UID/monitor.sock`.
pub fn default_socket() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| Path::new(dir).is_dir());
    default_for(platform::process::effective_uid(), runtime)
}

fn default_for(uid: u32, runtime: Option<OsString>) -> PathBuf {
    match (uid, runtime) {
        (0, _) => PathBuf::from("/run/imsbox/monitor.sock"),
        (_, Some(dir)) if Path::new(&dir).is_absolute() => Path::new(&dir).join("imsbox.sock"),
        _ => PathBuf::from(format!("/tmp/imsbox-{uid}/monitor.sock")),
    }
}

/// Makes the folder of the default socket, for its owner alone. One that another user made is refused.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    // in /tmp anybody may have been first; a symbolic link is somebody's trick too
    let found = fs::symlink_metadata(folder)?;
    let ours = found.is_dir() && found.uid() == platform::process::effective_uid();
    if !ours || found.mode() & 0o022 != 0 {
        let problem = format!("{} is not a folder of this user alone", folder.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_default_depends_on_the_user_and_its_runtime_folder() {
        let runtime = || Some(OsString::from("/run/user/7"));
        assert_eq!(default_for(0, runtime()), Path::new("/run/imsbox/monitor.sock"));
        assert_eq!(default_for(7, runtime()), Path::new("/run/user/7/imsbox.sock"));
        assert_eq!(default_for(7, Some("relative".into())), Path::new("/tmp/imsbox-7/monitor.sock"));
        assert_eq!(default_for(7, None), Path::new("/tmp/imsbox-7/monitor.sock"));
    }

    #[test]
    fn a_folder_that_others_write_to_is_refused() {
        let base = std::env::temp_dir().join(format!("imsbox-place-{}", std::process::id()));
        let folder = base.join("own");
        fs::create_dir_all(&base).unwrap();
        make_folder(&folder).unwrap();
        make_folder(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(make_folder(&folder).is_err());
        symlink("/tmp", base.join("link")).unwrap();
        assert!(make_folder(&base.join("link")).is_err());
        fs::remove_dir_all(base).unwrap();
    }
}
