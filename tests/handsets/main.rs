//! Calls of real handsets and clients: every captured message of a call, a text or a probe is played into the core as its phone
//! would, with what came before and comes after it, and what the other phone gets is looked at.
//!
//! The captured REGISTERs and SUBSCRIBEs have their tests with those of the torture messages (`tests/torture_core.rs`).

mod call;
mod capture;
mod emergency;
mod huawei;
mod others;
mod softphones;
mod stage;
#[path = "../support/vectors.rs"]
mod vectors;

#[test]
fn no_capture_is_left_out() {
    let source = [
        include_str!("emergency.rs"),
        include_str!("huawei.rs"),
        include_str!("others.rs"),
        include_str!("softphones.rs"),
    ];
    for (name, _) in vectors::messages("phones") {
        let number = &name[..2];
        let elsewhere = name.contains("register") || name.contains("subscribe");
        let here = source.iter().any(|s| s.contains(&format!("\"{number}\"")));
        assert!(elsewhere != here, "{name}");
    }
}
