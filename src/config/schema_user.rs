//! The properties of a user (manual 5.2.1), the SIM's keys among them, and the names of those that are the MME's alone.

use super::schema::Fallback::{Bool, Nothing, Number, Said, Text};
use super::schema::{Fallback, Kind, Property, Scope};

const fn property(name: &'static str, kind: Kind, default: Fallback, doc: &'static str) -> Property {
    Property::new(name, kind, default, doc)
}

const IMPU_ITEM: Kind = Kind::Any(&[Kind::Identity, Kind::Object(Scope::Impu)]);
/// Octets as two hexadecimal digits each.
const KEY: Kind = Kind::Hex(&[32]);
const KEY_OR_TUAK_KEY: Kind = Kind::Hex(&[32, 64]);
const TUAK_CODE: Kind = Kind::Hex(&[64]);

const SIM_ALGO: Property = property(
    "sim_algo",
    Kind::Word(&["xor", "milenage", "tuak"]),
    Text("xor"),
    "Authentication functions of the SIM: xor (the test algorithm of TS 34.108), milenage (TS 35.206), tuak (TS 35.231).",
);
const K: Property = property("K", KEY_OR_TUAK_KEY, Nothing, "Secret key; 64 digits with tuak only.");
const OP: Property =
    property("op", KEY, Nothing, "Milenage operator code, the same for all SIMs of an operator.");
const OPC: Property =
    property("opc", KEY, Nothing, "Milenage operator code made from op and K; wins over op.");
const R: Property = property(
    "r",
    Kind::List(&Kind::Int(0, 127), 5, 5),
    Said("[64, 0, 32, 64, 96]"),
    "Milenage rotation constants r1 to r5, in bits.",
);
const C: Property = property(
    "c",
    Kind::List(&KEY, 5, 5),
    Said("those of TS 35.206"),
    "Milenage addition constants c1 to c5.",
);
const TOP: Property = property("top", TUAK_CODE, Nothing, "TUAK operator code.");
const TOPC: Property =
    property("topc", TUAK_CODE, Nothing, "TUAK operator code made from top and K; wins over top.");
const KECCAK_ITER: Property =
    property("keccak_iter", Kind::Int(1, 255), Number(1.0), "TUAK Keccak permutations.");
const RES_LEN: Property = property(
    "res_len",
    Kind::Int(4, 16),
    Number(8.0),
    "Length of RES in octets; with tuak 4, 8 or 16, with milenage up to 8.",
);

/// An element of `ue_db`.
pub const USER: &[Property] = &[
    property(
        "imsi",
        Kind::Digits(6, 15, false),
        Nothing,
        "IMSI. Identities and the domain are derived from it.",
    ),
    property("nai", Kind::Text, Nothing, "Network-specific identifier, for a user without an IMSI."),
    property("impi", Kind::Text, Said("derived from imsi or nai"), "Private identity, with its host."),
    property(
        "impu",
        Kind::Any(&[Kind::Identity, Kind::Object(Scope::Impu), Kind::List(&IMPU_ITEM, 0, 1000)]),
        Said("derived from msisdn and imsi"),
        "Public identities: user, sip:user, tel:number or urn:…, or objects.",
    ),
    property("domain", Kind::Text, Said("the global domain, or derived from imsi"), "Home domain."),
    property("msisdn", Kind::Digits(1, 15, true), Nothing, "Telephone number, where impu does not say it."),
    property(
        "authent_type",
        Kind::Word(&["none", "MD5", "AKAv1", "AKAv2", "AKAv2-SHA-256"]),
        Said("AKAv1, or MD5 with pwd"),
        "The weakest authentication that is accepted: none < MD5 < AKAv1 < AKAv2 < AKAv2-SHA-256.",
    ),
    property(
        "authent_qop",
        Kind::Word(&["none", "auth", "auth-int", "auth,auth-int"]),
        Text("none"),
        "Quality of protection offered in challenges.",
    ),
    property("pwd", Kind::Text, Nothing, "Password; without authent_type the user authenticates with MD5."),
    property("auth_on_register_only", Kind::Bool, Said("the global one"), "Authenticate REGISTER only."),
    property("proxy_auth", Kind::Bool, Said("the global one"), "Challenge with 407 instead of 401."),
    property(
        "ipsec",
        Kind::Any(&[Kind::Bool, Kind::Word(&["off", "optional", "required"])]),
        Said("the global one"),
        "IPsec with the user's phones: off, optional, required. true is optional, false is off.",
    ),
    property(
        "multi_sim",
        Kind::Bool,
        Bool(false),
        "Several phones may use this IMSI, told apart by IMEI; xor only.",
    ),
    property(
        "count",
        Kind::Int(1, 100_000),
        Number(1.0),
        "So many users, IMSI, K and identities counted up.",
    ),
    property("force_sms_over_sg", Kind::Bool, Bool(false), "SMS over SGs always."),
    property(
        "mt_call_sdp_file",
        Kind::File,
        Said("the global one"),
        "Media offered in calls that the network makes to this user.",
    ),
    SIM_ALGO,
    K,
    OP,
    OPC,
    R,
    C,
    TOP,
    TOPC,
    KECCAK_ITER,
    RES_LEN,
    property(
        "amf",
        Kind::Any(&[Kind::Int(0, 65_535), Kind::Hex(&[4])]),
        Number(36_865.0),
        "Authentication management field: a number, or a string of 4 hexadecimal digits. The default is 0x9001.",
    ),
    property("sqn", Kind::Hex(&[12]), Text("000000000000"), "First sequence number."),
    property(
        "force_sqn_resync",
        Kind::Bool,
        Bool(false),
        "Make the SIM tell its sequence number at its first challenge after the start: for one that other networks use too.",
    ),
    property("isim_auth", Kind::Object(Scope::IsimAuth), Nothing, "Keys of the ISIM, where they differ."),
    Property::mme("pdn_list"),
    Property::mme("restrict_pdn_list"),
    Property::mme("ue_aggregate_max_bitrate_dl"),
    Property::mme("ue_aggregate_max_bitrate_ul"),
    Property::mme("ue_slice_max_bitrate"),
    Property::mme("t3412"),
    Property::mme("n3gpp_dereg_timer"),
    Property::mme("restrict_nr_as_2nd_rat"),
    Property::mme("restrict_5gc_access"),
    Property::mme("restrict_epc_access"),
    Property::mme("nssai"),
    Property::mme("default_nssai"),
    Property::mme("nssai_subject_to_nssaa"),
    Property::mme("nssai_subject_to_nsac"),
    Property::mme("cag_info_list"),
    Property::mme("csg_info_list"),
    Property::mme("5gs_auth_type"),
    Property::mme("at_result_ind"),
    Property::mme("sms_over_nas_allowed"),
    Property::mme("allowed_5gs_tais"),
    Property::mme("forbidden_5gs_tais"),
    Property::mme("mps_priority"),
    Property::mme("mcs_priority"),
    Property::mme("routing_indicator"),
    Property::mme("akma"),
    Property::mme("external_id"),
    Property::mme("imeisv"),
];

/// `isim_auth`: what it leaves out is the USIM's. An operator code of its own takes the place of both of the USIM's.
pub const ISIM_AUTH: &[Property] = &[
    SIM_ALGO.inherited(USIM),
    K.inherited(USIM),
    OP.inherited(USIM),
    OPC.inherited(USIM),
    R.inherited(USIM),
    C.inherited(USIM),
    TOP.inherited(USIM),
    TOPC.inherited(USIM),
    KECCAK_ITER.inherited(USIM),
    RES_LEN.inherited(USIM),
];

const USIM: &str = "the USIM's";
