//! How texts go: as short messages over IP, or as plain ones.

use super::{Given, Trouble, trouble};
use crate::phone::outgoing::callee_uri;
use crate::phone::smsip::number_of;
use imsbox::wire::gsm::Address;

/// The service centre where none is given; a card would have one (TS 31.102 4.2.27, 31.103 4.2.12).
const CENTRE: &str = "+15550000";
/// RP-Destination-Address where the service centre's URI holds no number: a phone has to send one (TS 24.011 8.2.5.2).
const NO_NUMBER: &str = "0000";

/// What texts of ours are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Short messages, where they go to a number.
    Short,
    /// Plain ones.
    Plain,
}

/// The service centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Centre {
    /// Its public service identity.
    pub uri: String,
    /// Its number.
    pub address: Address,
}

/// How texts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sms {
    /// What texts of ours are.
    pub way: Way,
    /// Whether short messages are taken, and the network is told so.
    pub takes_short: bool,
    /// Where ours go.
    pub centre: Centre,
}

/// Reads the options of texts.
pub(super) fn build(given: &Given, has_card: bool, domain: &str) -> Result<Sms, Trouble> {
    let text = |name: &'static str| given.get(name).map(String::as_str);
    let way = match text("sms") {
        Some("ip") => Way::Short,
        None if has_card => Way::Short,
        _ => Way::Plain,
    };
    let uri = match callee_uri(text("smsc").unwrap_or(CENTRE), domain) {
        Ok(uri) => uri,
        Err(words) => return trouble("smsc", words),
    };
    let address = match number_of(&uri) {
        Some(number) => Address::of_number(&number),
        None => Address::of_digits(0x81, NO_NUMBER),
    };
    let Some(address) = address else { return trouble("smsc", "has more than 20 digits") };
    Ok(Sms { way, takes_short: text("sms") != Some("plain"), centre: Centre { uri, address } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(has_card: bool, options: &[(&'static str, &str)]) -> Result<Sms, Trouble> {
        let given = options.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        build(&given, has_card, "h")
    }

    #[test]
    fn phones_with_a_card_send_short_messages() {
        let ways = |has_card, word: Option<&'static str>| {
            let options: Vec<_> = word.map(|word| ("sms", word)).into_iter().collect();
            built(has_card, &options).map(|sms| (sms.way, sms.takes_short)).unwrap()
        };
        assert_eq!(ways(true, None), (Way::Short, true));
        assert_eq!(ways(false, None), (Way::Plain, true));
        assert_eq!(ways(false, Some("ip")), (Way::Short, true));
        assert_eq!(ways(true, Some("mixed")), (Way::Plain, true));
        assert_eq!(ways(true, Some("plain")), (Way::Plain, false));
    }

    #[test]
    fn the_centre_is_a_number_or_a_name() {
        let centre = |text| {
            let centre = built(true, &[("smsc", text)]).unwrap().centre;
            (centre.uri, centre.address.to_string())
        };
        assert_eq!(centre("+33609001390"), ("tel:+33609001390".to_owned(), "+33609001390".to_owned()));
        assert_eq!(centre("centre"), ("sip:centre@h".to_owned(), "0000".to_owned()));
        assert_eq!(centre("sip:+12@sc.h;user=phone").1, "+12");
        assert_eq!(built(true, &[]).unwrap().centre.uri, "tel:+15550000");
        assert_eq!(built(true, &[("smsc", "a b")]).unwrap_err().option, "smsc");
        assert_eq!(built(true, &[("smsc", "123456789012345678901")]).unwrap_err().option, "smsc");
    }
}
