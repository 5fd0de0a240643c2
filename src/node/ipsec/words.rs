//! What the kernel lacks, for the operator: by algorithm where that explains it, else by pair.

use super::survey::Survey;
use crate::proto::sip::sec_agree::{Encryption, Integrity, Named, Suite};
use platform::xfrm::Lack;

/// What the survey found lacking, in words; `None`: nothing.
pub fn lacking(survey: &Survey) -> Option<String> {
    let none_has = |test: &dyn Fn(&Suite) -> bool| !survey.has.iter().any(test);
    let lacks = survey.lacks.iter().map(|(s, _)| s);
    // an algorithm is at fault when no pair works that has it, and in one of these its companion works with others
    let is_integrity_lacking = |i: Integrity| {
        let companion_works = |s: &Suite| !none_has(&|o| o.encryption() == s.encryption());
        none_has(&|o| o.integrity() == i) && lacks.clone().any(|s| s.integrity() == i && companion_works(s))
    };
    let is_encryption_lacking = |e: Encryption| {
        let companion_works =
            |s: &Suite| s.integrity() == Integrity::Null || !none_has(&|o| o.integrity() == s.integrity());
        none_has(&|o| o.encryption() == e) && lacks.clone().any(|s| s.encryption() == e && companion_works(s))
    };
    let mut words: Vec<String> = Vec::new();
    for (suite, lack) in &survey.lacks {
        let (integrity, encryption) = (suite.integrity(), suite.encryption());
        let word = match lack {
            Lack::Algorithm if is_integrity_lacking(integrity) => {
                algorithm(integrity.name(), integrity_module(integrity))
            }
            Lack::Algorithm if is_encryption_lacking(encryption) => {
                algorithm(encryption.name(), encryption_module(encryption))
            }
            Lack::Algorithm => pair(suite),
            lack => format!("{} ({lack})", pair(suite)),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    (!words.is_empty()).then(|| format!("the kernel lacks {}", words.join(", ")))
}

fn algorithm(name: &str, module: &str) -> String {
    format!("{name} (`modprobe {module}`)")
}

fn pair(suite: &Suite) -> String {
    format!("{} with {}", suite.integrity().name(), suite.encryption().name())
}

/// The kernel's module for how packets are authenticated.
fn integrity_module(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::HmacSha1_160 | Integrity::HmacSha1_96 => "sha1_generic",
        Integrity::AesCmac96 => "cmac",
        Integrity::HmacMd5_128 | Integrity::HmacMd5_96 => "md5",
        Integrity::AesGmac | Integrity::Null => "gcm",
    }
}

/// The kernel's module for how packets are encrypted.
fn encryption_module(encryption: Encryption) -> &'static str {
    match encryption {
        Encryption::AesGcm => "gcm",
        Encryption::AesCbc => "cbc",
        Encryption::DesEde3Cbc => "des_generic",
        Encryption::Blowfish => "blowfish_generic",
        Encryption::Null => "crypto_null",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(lacks: impl Fn(&Suite) -> bool) -> Survey {
        let (lacks, has): (Vec<Suite>, Vec<Suite>) = Suite::all().partition(lacks);
        Survey { has, lacks: lacks.into_iter().map(|s| (s, Lack::Algorithm)).collect() }
    }

    #[test]
    fn algorithms_are_named_with_their_modules_once() {
        let no = survey(|s| s.integrity() == Integrity::AesCmac96 || s.encryption() == Encryption::Blowfish);
        assert_eq!(
            lacking(&no).unwrap(),
            "the kernel lacks aes-cmac-96 (`modprobe cmac`), blowfish (`modprobe blowfish_generic`)"
        );
        let no_gcm = survey(|s| s.encryption() == Encryption::AesGcm || s.integrity() == Integrity::AesGmac);
        assert_eq!(
            lacking(&no_gcm).unwrap(),
            "the kernel lacks aes-gcm (`modprobe gcm`), aes-gmac (`modprobe gcm`)"
        );
        assert_eq!(lacking(&survey(|_| false)), None);
    }

    #[test]
    fn a_pair_that_lacks_for_itself_is_named_as_a_pair() {
        let pair = |s: &Suite| s.integrity() == Integrity::HmacMd5_96 && s.encryption() == Encryption::AesCbc;
        assert_eq!(lacking(&survey(pair)).unwrap(), "the kernel lacks hmac-md5-96 with aes-cbc");
        let mut other = survey(pair);
        other.lacks[0].1 = Lack::Other("out of order".to_owned());
        assert!(lacking(&other).unwrap().ends_with("hmac-md5-96 with aes-cbc (out of order)"));
    }
}
