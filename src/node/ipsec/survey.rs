//! What the kernel can do about IPsec, found out by trying.

use super::convert::algorithms;
use crate::config::model::IpsecSettings;
use crate::proto::sip::sec_agree::{Preferences, Suite};
use platform::xfrm::{Family, Lack, Xfrm};

/// The pairs of algorithms that were asked for.
#[derive(Debug, Default)]
pub struct Survey {
    /// Those that the kernel has.
    pub has: Vec<Suite>,
    /// Those that it lacks.
    pub lacks: Vec<(Suite, Lack)>,
}

/// Tries every pair that the configuration allows. Algorithms do not depend on the IP version: one will do.
pub fn survey(xfrm: &mut Xfrm, family: Family, settings: &IpsecSettings) -> Survey {
    let mut survey = Survey::default();
    let wanted = Preferences::new(&settings.integrity, &settings.encryption, |_| true);
    for &suite in wanted.suites() {
        // keys of the right length; weak ones are refused by some ciphers
        let keys = suite.keys(b"a key for trying", b"another such key");
        match xfrm.probe(family, algorithms(suite, &keys)) {
            Ok(()) => survey.has.push(suite),
            Err(lack) => survey.lacks.push((suite, lack)),
        }
    }
    survey
}
