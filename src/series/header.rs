//! The head of a patch file in mail format: who, when, what for.
//!
//! A feature's commit is made from it alone, so everything that goes into the commit's id
//! is here and nothing comes from the machine.

use crate::error::{Error, Result};

/// What the head of a patch says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Author's name.
    pub name: String,
    /// Author's mail address.
    pub email: String,
    /// Seconds since 1970.
    pub seconds: i64,
    /// Time zone, minutes east of Greenwich.
    pub offset: i32,
    /// The commit message: subject, blank line, body with its trailers, one newline.
    pub message: String,
    /// The trailer `Feature`.
    pub feature: String,
    /// The trailer `Upstream-Status`.
    pub upstream_status: String,
}

/// What `Upstream-Status` may say.
pub const UPSTREAM_STATUS: &[&str] = &[
    "not-sent",
    "sent",
    "accepted",
    "rejected",
    "not-for-upstream",
];

impl Header {
    /// Reads the head: all lines of the file before the `---` that ends the message.
    pub fn parse(head: &str) -> Result<Self> {
        let (fields, body) = head
            .split_once("\n\n")
            .ok_or_else(|| Error::usage("no blank line after the mail headers"))?;
        let mut fields = fields.lines();
        let first = fields.next().unwrap_or_default();
        let id = first.strip_prefix("From ").and_then(|rest| rest.get(..40));
        if !id.is_some_and(crate::config::is_object_id) {
            return Err(Error::usage(
                "line 1 isn't `From`, a commit id of 40 hex digits and a date",
            ));
        }
        let (mut from, mut date, mut subject) = (None, None, None::<String>);
        for line in fields {
            if let (Some(more), Some(subject)) = (line.strip_prefix(' '), &mut subject) {
                subject.push(' ');
                subject.push_str(more.trim());
                continue;
            }
            let (key, value) = line
                .split_once(": ")
                .ok_or_else(|| Error::usage(format!("`{line}` is no mail header")))?;
            let twice = match key {
                "From" => from.replace(value).is_some(),
                "Date" => date.replace(value).is_some(),
                "Subject" => subject.replace(value.trim().to_string()).is_some(),
                _ => {
                    return Err(Error::usage(format!(
                        "the mail header `{key}` is none of From, Date and Subject"
                    )));
                }
            };
            if twice {
                return Err(Error::usage(format!(
                    "the mail header `{key}` is there twice"
                )));
            }
        }
        let missing = |key: &str| Error::usage(format!("the mail header `{key}:` is missing"));
        let (name, email) = parse_from(from.ok_or_else(|| missing("From"))?)?;
        let (seconds, offset) = parse_date(date.ok_or_else(|| missing("Date"))?)?;
        let subject = subject.ok_or_else(|| missing("Subject"))?;
        let subject = strip_tag(&subject);
        if subject.is_empty() {
            return Err(Error::usage("the subject is empty"));
        }
        let body = body.trim_matches('\n');
        let upstream_status = trailer(body, "Upstream-Status")?;
        if !UPSTREAM_STATUS.contains(&upstream_status.as_str()) {
            return Err(Error::usage(format!(
                "Upstream-Status is `{upstream_status}`, none of {}",
                UPSTREAM_STATUS.join(", ")
            )));
        }
        Ok(Header {
            name,
            email,
            seconds,
            offset,
            message: format!("{subject}\n\n{body}\n"),
            feature: trailer(body, "Feature")?,
            upstream_status,
        })
    }
}

/// `[PATCH 1/2] Subject` without its tag.
fn strip_tag(subject: &str) -> &str {
    match subject
        .strip_prefix("[PATCH")
        .and_then(|s| s.split_once(']'))
    {
        Some((_, rest)) => rest.trim(),
        None => subject,
    }
}

/// The value of a trailer in the last paragraph of the message.
fn trailer(body: &str, key: &str) -> Result<String> {
    let last = body.rsplit("\n\n").next().unwrap_or_default();
    let mut values = last
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(k, _)| *k == key)
        .map(|(_, value)| value.trim());
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Ok(value.to_string()),
        (Some(_), Some(_)) => Err(Error::usage(format!("the trailer `{key}` is there twice"))),
        _ => Err(Error::usage(format!(
            "the last paragraph of the message has no trailer `{key}: …`"
        ))),
    }
}

fn parse_from(from: &str) -> Result<(String, String)> {
    let wrong = || {
        Error::usage(format!(
            "`From: {from}` isn't `From: NAME <ADDRESS>` in plain UTF-8"
        ))
    };
    let (name, email) = from
        .trim()
        .strip_suffix('>')
        .and_then(|rest| rest.split_once(" <"))
        .ok_or_else(wrong)?;
    let plain = |s: &str| {
        !s.is_empty() && s.trim() == s && !s.contains(['<', '>', '"']) && !s.contains("=?")
    };
    // git drops such characters from the ends of a name, and the commit would then differ
    // from what the file says.
    let crud = |c: char| c.is_control() || ".,:;'\\".contains(c);
    if !plain(name)
        || !plain(email)
        || name.starts_with(crud)
        || name.ends_with(crud)
        || email.contains(' ')
    {
        return Err(wrong());
    }
    Ok((name.to_string(), email.to_string()))
}

const MONTHS: &[&str] = &[
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// An RFC 2822 date, `Thu, 1 Jan 2026 00:00:00 +0000`: seconds since 1970, and minutes east.
fn parse_date(text: &str) -> Result<(i64, i32)> {
    date(text).ok_or_else(|| {
        Error::usage(format!(
            "`Date: {text}` isn't a date such as `Thu, 1 Jan 2026 00:00:00 +0000`"
        ))
    })
}

fn date(text: &str) -> Option<(i64, i32)> {
    let text = text.split_once(", ").map_or(text, |(_, rest)| rest);
    let mut words = text.split_ascii_whitespace();
    let day: i64 = number(words.next()?, 31)?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|m| *m == name)?;
    let year = number(words.next()?, 9999).filter(|y| *y >= 1970)?;
    let mut clock = words.next()?.split(':');
    let (hour, minute) = (number(clock.next()?, 23)?, number(clock.next()?, 59)?);
    let second = number(clock.next()?, 59)?;
    let zone = words.next()?;
    if words.next().is_some() || clock.next().is_some() || zone.len() != 5 || !zone.is_ascii() {
        return None;
    }
    let sign = match &zone[..1] {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let offset = sign * (number(&zone[1..3], 14)? * 60 + number(&zone[3..], 59)?);
    let leap = |y: i64| y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    let lengths = [
        31,
        if leap(year) { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    if day < 1 || day > lengths[month] {
        return None;
    }
    let years: i64 = (1970..year).map(|y| if leap(y) { 366 } else { 365 }).sum();
    let days = years + lengths[..month].iter().sum::<i64>() + day - 1;
    let local = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some((local - offset * 60, i32::try_from(offset).ok()?))
}

fn number(digits: &str, most: i64) -> Option<i64> {
    let digits_only = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|n| digits_only && *n <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n\
        From: mlx-fork <mlx-fork@localhost>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\n\
        Subject: [PATCH] Hook the fused primitives\n into the build\n\nPurpose.\n\n\
        Upstream-Status: not-sent\nFeature: fused\n";

    #[test]
    fn a_head_becomes_a_commit_message_and_an_identity() {
        let header = Header::parse(HEAD).unwrap();
        assert_eq!(header.name, "mlx-fork");
        assert_eq!((header.seconds, header.offset), (1_767_225_600, 0));
        assert_eq!(
            header.message,
            "Hook the fused primitives into the build\n\nPurpose.\n\nUpstream-Status: not-sent\nFeature: fused\n"
        );
        assert_eq!(header.feature, "fused");
    }

    #[test]
    fn dates_follow_the_calendar_and_the_zone() {
        assert_eq!(parse_date("1 Jan 1970 01:00:00 +0100").unwrap(), (0, 60));
        assert_eq!(
            parse_date("Thu, 29 Feb 2024 23:59:59 -0530").unwrap(),
            (1_709_270_999, -330)
        );
        for wrong in [
            "29 Feb 2025 0:0:0 +0000",
            "1 Jan 2026",
            "0 Jan 2026 00:00:00 +0000",
            "1 Jan 2026 24:00:00 +0000",
            "1 Jan 2026 00:00:00 UTC",
            "+1 Jan 2026 00:00:00 +0000",
            "1 Jan 2026 00:00:00 +é00",
        ] {
            assert!(parse_date(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_head_that_lacks_something_says_what() {
        for (take, names) in [
            ("From: mlx-fork <mlx-fork@localhost>\n", "From:"),
            ("Date: Thu, 1 Jan 2026 00:00:00 +0000\n", "Date:"),
            ("Feature: fused\n", "Feature"),
            ("Upstream-Status: not-sent\n", "Upstream-Status"),
            (
                "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n",
                "line 1",
            ),
        ] {
            let error = Header::parse(&HEAD.replace(take, "")).unwrap_err();
            assert!(error.what().contains(names), "{error}");
            assert_eq!(error.kind(), crate::Kind::Usage);
        }
        let status = HEAD.replace("not-sent", "perhaps");
        assert!(
            Header::parse(&status)
                .unwrap_err()
                .what()
                .contains("perhaps")
        );
    }

    #[test]
    fn a_name_that_git_would_change_is_refused() {
        for from in [
            "a <b",
            "<a@b>",
            "a. <a@b>",
            "a <a b@c>",
            "=?utf-8?q?a?= <a@b>",
            "a<x> <a@b>",
        ] {
            assert!(parse_from(from).is_err(), "{from}");
        }
    }
}
