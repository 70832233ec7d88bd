//! Issues certificates; pure except for the random keys.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use super::{PkiError, RENEW_BEFORE};
use crate::base::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3600);
const AUTHORITY_DAYS: u32 = 3650;
/// Browsers reject server certificates that are valid for more than 398 days.
const SERVER_DAYS: u32 = 397;

/// A certificate with its key and metadata.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    /// Names it covers, in the order of the configuration.
    pub(super) names: Vec<String>,
    /// When it must be renewed.
    pub(super) renew_at: Timestamp,
    /// Serial of its issuer.
    pub(super) issuer: String,
    /// Key, then certificates, the server's first (PEM).
    pub(super) pem: String,
}

/// The authority, ready to sign.
pub(super) struct Authority {
    pub(super) certificate_pem: String,
    pub(super) serial: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn load(signed: Issued) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(&signed.pem)?;
        let certificate_pem = certificates_of(&signed.pem).to_owned();
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key)?;
        Ok(Self {
            certificate_pem,
            serial: signed.issuer,
            issuer,
        })
    }
}

/// What follows the key.
pub(super) fn certificates_of(pem: &str) -> &str {
    let at = pem.find("-----BEGIN CERTIFICATE").unwrap_or(pem.len());
    &pem[at..]
}

/// A new authority.
pub(super) fn authority(now: Timestamp) -> Result<Issued, PkiError> {
    let serial = format!("{:x}", now.as_micros());
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = name(&format!("cflite local authority {serial}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let renew_at = set_validity(&mut params, now, AUTHORITY_DAYS);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(Issued {
        names: Vec::new(),
        renew_at,
        issuer: serial,
        pem: key.serialize_pem() + &certificate.pem(),
    })
}

/// A server certificate for `names`.
pub(super) fn server(
    authority: &Authority,
    names: &[String],
    now: Timestamp,
) -> Result<Issued, PkiError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = name("cflite");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let renew_at = set_validity(&mut params, now, SERVER_DAYS);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &authority.issuer)?;
    Ok(Issued {
        names: names.to_vec(),
        renew_at,
        issuer: authority.serial.clone(),
        pem: key.serialize_pem() + &certificate.pem() + &authority.certificate_pem,
    })
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "cflite");
    name.push(DnType::CommonName, common_name);
    name
}

/// Sets the validity and returns when to renew. Valid since yesterday, as clocks differ.
fn set_validity(params: &mut CertificateParams, now: Timestamp, days: u32) -> Timestamp {
    let yesterday = Timestamp::from_micros(now.as_micros() - 24 * 3600 * 1_000_000);
    let end = yesterday.plus(DAY * days);
    let (year, month, day) = calendar_day(yesterday);
    params.not_before = rcgen::date_time_ymd(year, month, day);
    let (year, month, day) = calendar_day(end);
    params.not_after = rcgen::date_time_ymd(year, month, day);
    let renew = i64::try_from(RENEW_BEFORE.as_micros()).unwrap_or(0);
    Timestamp::from_micros(end.as_micros() - renew)
}

/// Year, month and day in UTC.
fn calendar_day(at: Timestamp) -> (i32, u8, u8) {
    let text = at.to_string();
    let mut parts = text.splitn(3, '-');
    let mut next = || parts.next().unwrap_or_default();
    let (year, month, day) = (next(), next(), next());
    (
        year.parse().unwrap_or(1970),
        month.parse().unwrap_or(1),
        day.get(..2).and_then(|day| day.parse().ok()).unwrap_or(1),
    )
}
