//! Payment instructions as ISO 20022 pain.001.001.09, CustomerCreditTransferInitiation: one PmtInf a payer, one CdtTrfTxInf a
//! payee. They are instructions for a bank; nothing here moves money. Accounts come from the operator's configuration. In
//! euro it keeps the rules of SEPA credit transfers (EPC132-08, customer to PSP, 2023 version 1.0).

use super::hash_of;
use super::money::Currency;
use super::netting::Transfer;
use super::settlement::Settlement;
use crate::error::{Error, ErrorKind, Result};
use crate::kind::MemberId;
use jiff::civil::Date;
use xml::{Document, check_text};

mod account;
mod xml;

pub use account::{Account, AccountNumber};

/// The namespace, which is the version.
pub const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09";
/// Most minor units of one SEPA credit transfer: 999,999,999.99 euro.
const SEPA_MINOR_MAX: i64 = 99_999_999_999;
/// Max140Text as SEPA restricts names: 70 characters.
const NAME_MAX: usize = 70;

/// What makes a message out of payments.
#[derive(Debug, Clone)]
pub struct Initiation<'a> {
    /// The settlement that the payments settle; every remittance names it.
    pub settlement: &'a Settlement,
    /// The payments.
    pub transfers: &'a [Transfer],
    /// InitgPty/Nm: the operator's legal name, at most 70 characters of SEPA's.
    pub initiator: &'a str,
    /// CreDtTm, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// ReqdExctnDt.
    pub execution: Date,
}

impl Initiation<'_> {
    /// The message as XML; the same bytes for the same input. `account` is what the operator has configured of a party.
    ///
    /// # Errors
    /// `NotFound` for a party without an account; `Invalid` where there is nothing to pay, in euro without IBAN, or for a
    /// text outside of SEPA's characters; `TooLarge` past a length or amount. No account is quoted.
    pub fn to_xml<'b>(&self, account: impl Fn(MemberId) -> Option<&'b Account>) -> Result<String> {
        let basis = &self.settlement.basis;
        let payments = self.payments(account)?;
        let id = self.id()?;
        let created = date_time(self.created_ms)?;
        let totals = Totals::of(basis.currency, self.transfers);
        check_text("InitgPty/Nm", self.initiator, NAME_MAX)?;
        Ok(Document::write(NAMESPACE, |out| {
            out.inside("CstmrCdtTrfInitn", |out| {
                out.inside("GrpHdr", |out| {
                    out.text("MsgId", &id);
                    out.text("CreDtTm", &created);
                    totals.write(out);
                    out.inside("InitgPty", |out| out.text("Nm", self.initiator));
                });
                for (payer, payments) in &payments {
                    out.inside("PmtInf", |out| self.write_payer(out, &id, payer, payments));
                }
            });
        }))
    }

    /// What MsgId is, and all other ids begin with: the same for the same payments of the same settlement on the same day,
    /// so that a bank knows a message that comes twice; 23 characters at most.
    fn id(&self) -> Result<String> {
        let mut text = self.settlement.encode()?;
        let mut sorted = self.transfers.to_vec();
        sorted.sort_unstable();
        let lines = sorted.iter().map(|transfer| {
            let Transfer { from, to, amount_minor } = transfer;
            format!("{from} {to} {amount_minor}\n")
        });
        text.extend(lines.chain([self.execution.to_string()]));
        let hash: String = hash_of(&text)[..5].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("ST{}-{hash}", self.settlement.basis.number))
    }

    /// Payments by payer, with everybody's account, checked.
    fn payments<'b>(
        &self,
        account: impl Fn(MemberId) -> Option<&'b Account>,
    ) -> Result<Vec<(Payer<'b>, Vec<Payment<'b>>)>> {
        let currency = self.settlement.basis.currency;
        let checked = |member: MemberId| {
            let account = account(member).ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("no account is configured of member {member}"))
            })?;
            account.check(is_sepa(currency)).map_err(|mut error| {
                error.message = format!("account of member {member}: {}", error.message);
                error
            })?;
            Ok::<_, Error>(account)
        };
        let mut sorted = self.transfers.to_vec();
        sorted.sort_unstable();
        let mut payments: Vec<(Payer<'b>, Vec<Payment<'b>>)> = Vec::new();
        for transfer in sorted {
            check_amount(currency, &transfer)?;
            let payment = Payment { transfer, account: checked(transfer.to)? };
            match payments.last_mut() {
                Some((payer, of_payer)) if payer.member == transfer.from => of_payer.push(payment),
                _ => {
                    let payer = Payer { member: transfer.from, account: checked(transfer.from)? };
                    payments.push((payer, vec![payment]));
                }
            }
        }
        match payments.is_empty() {
            true => Err(Error::new(ErrorKind::Invalid, "there is nothing to pay, so no message")),
            false => Ok(payments),
        }
    }

    /// PaymentInstruction30.
    fn write_payer(&self, out: &mut Document, id: &str, payer: &Payer<'_>, payments: &[Payment<'_>]) {
        let currency = self.settlement.basis.currency;
        let transfers: Vec<Transfer> = payments.iter().map(|payment| payment.transfer).collect();
        out.text("PmtInfId", &format!("{id}-{}", payer.member));
        out.text("PmtMtd", "TRF");
        Totals::of(currency, &transfers).write(out);
        if is_sepa(currency) {
            out.inside("PmtTpInf", |out| out.inside("SvcLvl", |out| out.text("Cd", "SEPA")));
        }
        out.inside("ReqdExctnDt", |out| out.text("Dt", &self.execution.to_string()));
        out.inside("Dbtr", |out| out.text("Nm", &payer.account.name));
        payer.account.write_number(out, "DbtrAcct");
        out.inside("DbtrAgt", |out| {
            out.inside("FinInstnId", |out| match &payer.account.bic {
                Some(bic) => out.text("BICFI", bic),
                // DbtrAgt may not be left out; where the IBAN says the bank, this does not.
                None => out.inside("Othr", |out| out.text("Id", "NOTPROVIDED")),
            });
        });
        out.text("ChrgBr", if is_sepa(currency) { "SLEV" } else { "SHAR" });
        for payment in payments {
            out.inside("CdtTrfTxInf", |out| self.write_payment(out, id, payment));
        }
    }

    /// CreditTransferTransaction34.
    fn write_payment(&self, out: &mut Document, id: &str, payment: &Payment<'_>) {
        let (basis, Transfer { from, to, amount_minor }) = (&self.settlement.basis, payment.transfer);
        out.inside("PmtId", |out| out.text("EndToEndId", &format!("{id}-{from}-{to}")));
        out.inside("Amt", |out| {
            let amount = basis.currency.amount(amount_minor);
            out.text_with("InstdAmt", ("Ccy", basis.currency.code()), &amount);
        });
        if let Some(bic) = &payment.account.bic {
            out.inside("CdtrAgt", |out| out.inside("FinInstnId", |out| out.text("BICFI", bic)));
        }
        out.inside("Cdtr", |out| out.text("Nm", &payment.account.name));
        payment.account.write_number(out, "CdtrAcct");
        let period = &basis.period.name;
        let remittance = format!("{} statement {} period {period}", basis.alliance, basis.number);
        out.inside("RmtInf", |out| out.text("Ustrd", &remittance));
    }
}

struct Payer<'a> {
    member: MemberId,
    account: &'a Account,
}

struct Payment<'a> {
    transfer: Transfer,
    account: &'a Account,
}

/// NbOfTxs and CtrlSum, of the message and of each payer.
struct Totals {
    count: String,
    sum: String,
}

impl Totals {
    fn of(currency: Currency, transfers: &[Transfer]) -> Totals {
        // Amounts are bounded, and there are fewer than 2^16 of them.
        let sum = transfers.iter().map(|transfer| transfer.amount_minor).fold(0i64, i64::saturating_add);
        Totals { count: transfers.len().to_string(), sum: currency.amount(sum) }
    }
    fn write(&self, out: &mut Document) {
        out.text("NbOfTxs", &self.count);
        out.text("CtrlSum", &self.sum);
    }
}

fn is_sepa(currency: Currency) -> bool {
    currency.code() == "EUR"
}

fn check_amount(currency: Currency, transfer: &Transfer) -> Result<()> {
    let amount_max = if is_sepa(currency) { SEPA_MINOR_MAX } else { crate::limits::AMOUNT_MINOR_MAX };
    if transfer.from == transfer.to || transfer.amount_minor <= 0 {
        return Err(Error::new(ErrorKind::Invalid, "a payment is of something, from one to another"));
    }
    if transfer.amount_minor > amount_max {
        let message = format!(
            "a payment of {}, limit {}",
            currency.format(transfer.amount_minor),
            currency.format(amount_max)
        );
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(())
}

/// ISODateTime in UTC, to the second, with the offset said.
fn date_time(ms: u64) -> Result<String> {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let time = time.ok_or_else(|| Error::new(ErrorKind::Invalid, "CreDtTm: expected a time until 9999"))?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string())
}
