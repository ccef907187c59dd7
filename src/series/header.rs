//! The head of a patch file in mail format: who, when, what for.
//!
//! A feature's commit is made from it alone, so everything that goes into the commit's id
//! is here and nothing comes from the machine.

use std::fmt;

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
    pub upstream: Upstream,
}

/// Where a patch stands with upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// `not-sent`.
    NotSent,
    /// `sent URL`: the pull request.
    Sent(String),
    /// `merged ID`: the upstream commit that has it.
    Merged(String),
    /// `never: WHY`.
    Never(String),
}

impl Upstream {
    /// Reads the trailer's value.
    pub fn parse(text: &str) -> Result<Self> {
        let argument = |word: &str| text.strip_prefix(word).map(str::trim);
        if text == "not-sent" {
            return Ok(Upstream::NotSent);
        }
        if let Some(url) = argument("sent ")
            && url.contains("://")
            && !url.contains(' ')
        {
            return Ok(Upstream::Sent(url.into()));
        }
        if let Some(id) = argument("merged ")
            && crate::config::is_object_id(id)
        {
            return Ok(Upstream::Merged(id.into()));
        }
        if let Some(why) = argument("never:")
            && !why.is_empty()
        {
            return Ok(Upstream::Never(why.into()));
        }
        Err(Error::usage(format!(
            "Upstream-Status is `{text}`, none of `not-sent`, `sent URL`, `merged ID` (40 hex digits) and `never: WHY`"
        )))
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Upstream::NotSent => f.write_str("not-sent"),
            Upstream::Sent(url) => write!(f, "sent {url}"),
            Upstream::Merged(id) => write!(f, "merged {id}"),
            Upstream::Never(why) => write!(f, "never: {why}"),
        }
    }
}

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
        Ok(Header {
            name,
            email,
            seconds,
            offset,
            message: format!("{subject}\n\n{body}\n"),
            feature: trailer(body, "Feature")?,
            upstream: Upstream::parse(&trailer(body, "Upstream-Status")?)?,
        })
    }
}

impl fmt::Display for Header {
    /// The head as a patch file has it: the same bytes for the same header on every machine.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (subject, body) = self
            .message
            .split_once("\n\n")
            .unwrap_or((&self.message, ""));
        write!(
            f,
            "From {} Mon Sep 17 00:00:00 2001\nFrom: {} <{}>\nDate: {}\nSubject: [PATCH] {subject}\n\n{body}",
            "0".repeat(40),
            self.name,
            self.email,
            self.date(),
        )
    }
}

impl Header {
    /// The date as mail has it.
    fn date(&self) -> String {
        let local = self.seconds + i64::from(self.offset) * 60;
        let (days, rest) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        let east = self.offset.abs();
        format!(
            "{}, {day} {} {year:04} {:02}:{:02}:{:02} {}{:02}{:02}",
            weekday[usize::try_from(days.rem_euclid(7)).unwrap_or_default()],
            MONTHS[month - 1],
            rest / 3600,
            rest / 60 % 60,
            rest % 60,
            if self.offset < 0 { '-' } else { '+' },
            east / 60,
            east % 60,
        )
    }

    /// The message with another value of the trailer `Upstream-Status`.
    pub fn set_upstream(&mut self, upstream: Upstream) {
        let old = format!("\nUpstream-Status: {}\n", self.upstream);
        let new = format!("\nUpstream-Status: {upstream}\n");
        if let Some(at) = self.message.rfind(&old) {
            self.message.replace_range(at..at + old.len(), &new);
            self.upstream = upstream;
        }
    }
}

/// Days since 1970 as year, month (from 1) and day.
pub fn civil(days: i64) -> (i64, usize, i64) {
    // Years counted from March, so that the leap day is the last of a year.
    let z = days + 719_468;
    let (era, day) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (
        year,
        usize::try_from(month).unwrap_or_default(),
        day_of_year - (153 * shifted + 2) / 5 + 1,
    )
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
pub fn parse_date(text: &str) -> Result<(i64, i32)> {
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
    fn a_head_is_written_as_it_was_read() {
        let unfolded = HEAD.replace("primitives\n into", "primitives into");
        for date in [
            "Thu, 1 Jan 2026 00:00:00 +0000",
            "Thu, 29 Feb 2024 23:59:59 -0530",
            "Sun, 1 Mar 1970 00:00:01 +1400",
        ] {
            let head = unfolded.replace("Thu, 1 Jan 2026 00:00:00 +0000", date);
            assert_eq!(Header::parse(&head).unwrap().to_string(), head);
        }
    }

    #[test]
    fn the_upstream_status_is_one_of_four() {
        let id = "a".repeat(40);
        for text in [
            "not-sent".to_string(),
            "sent https://example.org/pull/1".into(),
            format!("merged {id}"),
            "never: only for the fork".into(),
        ] {
            let head = HEAD.replace("not-sent", &text);
            let mut header = Header::parse(&head).unwrap();
            assert_eq!(header.upstream.to_string(), text);
            header.set_upstream(Upstream::NotSent);
            assert_eq!(header, Header::parse(HEAD).unwrap());
        }
        for wrong in [
            "sent",
            "sent it",
            "merged 12ab",
            "never",
            "never: ",
            "Not-sent",
        ] {
            assert!(Upstream::parse(wrong).is_err(), "{wrong}");
        }
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
