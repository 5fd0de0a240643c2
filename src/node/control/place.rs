//! Where the monitor's socket is: one rule for the server and its clients.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where root's programs and services have the socket.
const SYSTEM: &str = "/run/imsbox/monitor.sock";

/// The socket of a server whose configuration names none: `monitor.sock` in the service manager's `$RUNTIME_DIRECTORY` if
/// there is one, `/run/imsbox/monitor.sock` for root, else `$XDG_RUNTIME_DIR/imsbox.sock` if that folder exists, else
/// `/tmp/imsbox-UID/monitor.sock`.
pub fn default_socket() -> PathBuf {
    let service = std::env::var_os("RUNTIME_DIRECTORY");
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| Path::new(dir).is_dir());
    default_for(platform::process::effective_uid(), service, runtime)
}

/// The socket of a client whose command line names none: that of a server of the same user, or else that of the service
/// where there is one.
pub fn client_socket() -> PathBuf {
    let own = default_socket();
    let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
    let service = Path::new(SYSTEM);
    let may_serve = is_there(service) || service.parent().is_some_and(is_there);
    if !is_there(&own) && may_serve { service.to_owned() } else { own }
}

fn default_for(uid: u32, service: Option<OsString>, runtime: Option<OsString>) -> PathBuf {
    // systemd.exec(5): several folders are separated by colons
    let service = service.as_deref().and_then(|dirs| dirs.to_str()).and_then(|dirs| dirs.split(':').next());
    match (uid, service, runtime) {
        (_, Some(dir), _) if Path::new(dir).is_absolute() => Path::new(dir).join("monitor.sock"),
        (0, _, _) => PathBuf::from(SYSTEM),
        (_, _, Some(dir)) if Path::new(&dir).is_absolute() => Path::new(&dir).join("imsbox.sock"),
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
        assert_eq!(default_for(0, None, runtime()), Path::new("/run/imsbox/monitor.sock"));
        assert_eq!(default_for(7, None, runtime()), Path::new("/run/user/7/imsbox.sock"));
        assert_eq!(default_for(7, None, Some("relative".into())), Path::new("/tmp/imsbox-7/monitor.sock"));
        assert_eq!(default_for(7, None, None), Path::new("/tmp/imsbox-7/monitor.sock"));
    }

    #[test]
    fn a_service_listens_where_root_looks_for_it() {
        let unit = include_str!("../../../platform/systemd/imsbox.service");
        let folder = unit.lines().find_map(|line| line.strip_prefix("RuntimeDirectory=")).unwrap();
        let set = Some(OsString::from(format!("/run/{folder}:/run/other")));
        assert_eq!(default_for(7, set, None), default_for(0, None, None));
        assert_eq!(default_for(7, Some("".into()), None), Path::new("/tmp/imsbox-7/monitor.sock"));
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
