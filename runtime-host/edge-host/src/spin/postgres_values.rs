//! Values between `spin:postgres` and the wire of PostgreSQL. A value that cannot be converted exactly is an error or
//! `unsupported`, never a different value.

use super::bindings::spin::postgres::postgres::{
    DbDataType, DbValue, Interval, ParameterValue, RangeBoundKind,
};
use anyhow::{Context, Result, anyhow};
use bytes::{Buf, BufMut, BytesMut};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use rust_decimal::Decimal;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// A parameter ready for the wire.
pub(super) type Parameter = Box<dyn ToSql + Sync + Send>;
type SqlResult<T> = Result<T, Box<dyn std::error::Error + Sync + Send>>;
type Bound<T> = Option<(T, RangeBoundKind)>;

/// The WIT name of a column's type.
pub(super) fn data_type(sql: &Type) -> DbDataType {
    match *sql {
        Type::BOOL => DbDataType::Boolean,
        Type::BYTEA => DbDataType::Binary,
        Type::FLOAT4 => DbDataType::Floating32,
        Type::FLOAT8 => DbDataType::Floating64,
        Type::INT2 => DbDataType::Int16,
        Type::INT4 => DbDataType::Int32,
        Type::INT8 => DbDataType::Int64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => DbDataType::Str,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => DbDataType::Datetime,
        Type::DATE => DbDataType::Date,
        Type::TIME => DbDataType::Time,
        Type::UUID => DbDataType::Uuid,
        Type::JSONB => DbDataType::Jsonb,
        Type::NUMERIC => DbDataType::Decimal,
        Type::INT4_RANGE => DbDataType::RangeInt32,
        Type::INT8_RANGE => DbDataType::RangeInt64,
        Type::NUM_RANGE => DbDataType::RangeDecimal,
        Type::INT4_ARRAY => DbDataType::ArrayInt32,
        Type::INT8_ARRAY => DbDataType::ArrayInt64,
        Type::NUMERIC_ARRAY => DbDataType::ArrayDecimal,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => DbDataType::ArrayStr,
        Type::INTERVAL => DbDataType::Interval,
        _ => DbDataType::Other(sql.name().to_owned()),
    }
}

/// One value of a row.
pub(super) fn value(row: &tokio_postgres::Row, at: usize) -> Result<DbValue> {
    macro_rules! get {
        ($type:ty, $make:expr) => {
            row.try_get::<_, Option<$type>>(at)?
                .map_or(DbValue::DbNull, $make)
        };
    }
    Ok(match *row.columns()[at].type_() {
        Type::BOOL => get!(bool, DbValue::Boolean),
        Type::BYTEA => get!(Vec<u8>, DbValue::Binary),
        Type::FLOAT4 => get!(f32, DbValue::Floating32),
        Type::FLOAT8 => get!(f64, DbValue::Floating64),
        Type::INT2 => get!(i16, DbValue::Int16),
        Type::INT4 => get!(i32, DbValue::Int32),
        Type::INT8 => get!(i64, DbValue::Int64),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => get!(String, DbValue::Str),
        Type::TIMESTAMP => get!(NaiveDateTime, |at| datetime(&at)),
        Type::TIMESTAMPTZ => get!(DateTime<Utc>, |at| datetime(&at.naive_utc())),
        Type::DATE => get!(NaiveDate, |date| DbValue::Date(parts(&date))),
        Type::TIME => {
            get!(NaiveTime, |time| {
                DbValue::Time((
                    time.hour() as u8,
                    time.minute() as u8,
                    time.second() as u8,
                    time.nanosecond(),
                ))
            })
        }
        Type::UUID => get!(uuid::Uuid, |uuid| DbValue::Uuid(uuid.to_string())),
        Type::JSONB => get!(Json, |json| DbValue::Jsonb(json.0)),
        Type::NUMERIC => get!(Decimal, |decimal| DbValue::Decimal(decimal.to_string())),
        Type::INT4_RANGE => get!(Range<i32>, |range| DbValue::RangeInt32((range.0, range.1))),
        Type::INT8_RANGE => get!(Range<i64>, |range| DbValue::RangeInt64((range.0, range.1))),
        Type::NUM_RANGE => get!(Range<Decimal>, |range| {
            let text =
                |bound: Bound<Decimal>| bound.map(|(decimal, kind)| (decimal.to_string(), kind));
            DbValue::RangeDecimal((text(range.0), text(range.1)))
        }),
        Type::INT4_ARRAY => get!(Vec<Option<i32>>, DbValue::ArrayInt32),
        Type::INT8_ARRAY => get!(Vec<Option<i64>>, DbValue::ArrayInt64),
        Type::NUMERIC_ARRAY => get!(Vec<Option<Decimal>>, |items| {
            DbValue::ArrayDecimal(
                items
                    .into_iter()
                    .map(|item| item.map(|decimal| decimal.to_string()))
                    .collect(),
            )
        }),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => {
            get!(Vec<Option<String>>, DbValue::ArrayStr)
        }
        Type::INTERVAL => get!(Span, |span| DbValue::Interval(span.0)),
        _ => get!(Raw, |raw| DbValue::Unsupported(raw.0)),
    })
}

fn parts(date: &NaiveDate) -> (i32, u8, u8) {
    (date.year(), date.month() as u8, date.day() as u8)
}

fn datetime(at: &NaiveDateTime) -> DbValue {
    let (year, month, day) = parts(&at.date());
    DbValue::Datetime((
        year,
        month,
        day,
        at.hour() as u8,
        at.minute() as u8,
        at.second() as u8,
        at.nanosecond(),
    ))
}

/// One parameter of a statement.
pub(super) fn parameter(value: &ParameterValue) -> Result<Parameter> {
    Ok(match value {
        ParameterValue::Boolean(value) => Box::new(*value),
        ParameterValue::Int8(value) => Box::new(*value),
        ParameterValue::Int16(value) => Box::new(*value),
        ParameterValue::Int32(value) => Box::new(*value),
        ParameterValue::Int64(value) => Box::new(*value),
        ParameterValue::Floating32(value) => Box::new(*value),
        ParameterValue::Floating64(value) => Box::new(*value),
        ParameterValue::Str(value) => Box::new(value.clone()),
        ParameterValue::Binary(value) => Box::new(value.clone()),
        ParameterValue::Date(value) => Box::new(date(*value)?),
        ParameterValue::Time((hour, minute, second, nano)) => {
            Box::new(time(*hour, *minute, *second, *nano)?)
        }
        ParameterValue::Datetime((year, month, day, hour, minute, second, nano)) => {
            Box::new(NaiveDateTime::new(
                date((*year, *month, *day))?,
                time(*hour, *minute, *second, *nano)?,
            ))
        }
        ParameterValue::Timestamp(seconds) => Box::new(
            DateTime::<Utc>::from_timestamp(*seconds, 0)
                .ok_or_else(|| anyhow!("timestamp {seconds} is out of range"))?,
        ),
        ParameterValue::Uuid(value) => Box::new(
            uuid::Uuid::parse_str(value).with_context(|| format!("invalid UUID `{value}`"))?,
        ),
        ParameterValue::Jsonb(value) => {
            serde_json::from_slice::<serde::de::IgnoredAny>(value).context("invalid JSON")?;
            Box::new(Json(value.clone()))
        }
        ParameterValue::Decimal(value) => Box::new(decimal(value)?),
        ParameterValue::RangeInt32((lower, upper)) => Box::new(Range(*lower, *upper)),
        ParameterValue::RangeInt64((lower, upper)) => Box::new(Range(*lower, *upper)),
        ParameterValue::RangeDecimal((lower, upper)) => {
            let bound = |bound: &Bound<String>| {
                bound
                    .as_ref()
                    .map(|(text, kind)| Ok::<_, anyhow::Error>((decimal(text)?, *kind)))
                    .transpose()
            };
            Box::new(Range(bound(lower)?, bound(upper)?))
        }
        ParameterValue::ArrayInt32(items) => Box::new(items.clone()),
        ParameterValue::ArrayInt64(items) => Box::new(items.clone()),
        ParameterValue::ArrayDecimal(items) => Box::new(
            items
                .iter()
                .map(|item| item.as_deref().map(decimal).transpose())
                .collect::<Result<Vec<_>>>()?,
        ),
        ParameterValue::ArrayStr(items) => Box::new(items.clone()),
        ParameterValue::Interval(value) => Box::new(Span(*value)),
        ParameterValue::DbNull => Box::new(Null),
    })
}

fn date((year, month, day): (i32, u8, u8)) -> Result<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month.into(), day.into())
        .ok_or_else(|| anyhow!("invalid date {year}-{month}-{day}"))
}

fn time(hour: u8, minute: u8, second: u8, nano: u32) -> Result<NaiveTime> {
    NaiveTime::from_hms_nano_opt(hour.into(), minute.into(), second.into(), nano)
        .ok_or_else(|| anyhow!("invalid time {hour}:{minute}:{second}.{nano}"))
}

fn decimal(text: &str) -> Result<Decimal> {
    Decimal::from_str_exact(text).with_context(|| format!("invalid decimal `{text}`"))
}

/// Bytes a value takes in the host.
pub(super) fn size(value: &DbValue) -> usize {
    let behind = match value {
        DbValue::Str(text) | DbValue::Uuid(text) | DbValue::Decimal(text) => text.len(),
        DbValue::Binary(bytes) | DbValue::Jsonb(bytes) | DbValue::Unsupported(bytes) => bytes.len(),
        DbValue::ArrayInt32(items) => items.len() * size_of::<Option<i32>>(),
        DbValue::ArrayInt64(items) => items.len() * size_of::<Option<i64>>(),
        DbValue::ArrayDecimal(items) | DbValue::ArrayStr(items) => items
            .iter()
            .map(|item| size_of::<Option<String>>() + item.as_ref().map_or(0, String::len))
            .sum(),
        _ => 0,
    };
    size_of::<DbValue>() + behind
}

/// NULL of any type.
#[derive(Debug)]
struct Null;

impl ToSql for Null {
    to_sql_checked!();

    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> SqlResult<IsNull> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// JSON as text, passed on byte for byte.
#[derive(Debug)]
struct Json(Vec<u8>);

/// What precedes the text of a `jsonb` on the wire.
const JSONB_VERSION: u8 = 1;

impl ToSql for Json {
    to_sql_checked!();

    fn to_sql(&self, sql: &Type, out: &mut BytesMut) -> SqlResult<IsNull> {
        if *sql == Type::JSONB {
            out.put_u8(JSONB_VERSION);
        }
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(sql: &Type) -> bool {
        matches!(*sql, Type::JSON | Type::JSONB)
    }
}

impl FromSql<'_> for Json {
    fn from_sql(_: &Type, raw: &[u8]) -> SqlResult<Self> {
        match raw.split_first() {
            Some((&JSONB_VERSION, text)) => Ok(Self(text.to_vec())),
            _ => Err("unknown version of jsonb".into()),
        }
    }

    fn accepts(sql: &Type) -> bool {
        *sql == Type::JSONB
    }
}

/// Any type, as the bytes of the wire.
struct Raw(Vec<u8>);

impl FromSql<'_> for Raw {
    fn from_sql(_: &Type, raw: &[u8]) -> SqlResult<Self> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[derive(Debug)]
struct Span(Interval);

impl ToSql for Span {
    to_sql_checked!();

    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> SqlResult<IsNull> {
        out.put_i64(self.0.micros);
        out.put_i32(self.0.days);
        out.put_i32(self.0.months);
        Ok(IsNull::No)
    }

    fn accepts(sql: &Type) -> bool {
        *sql == Type::INTERVAL
    }
}

impl FromSql<'_> for Span {
    fn from_sql(_: &Type, mut raw: &[u8]) -> SqlResult<Self> {
        if raw.len() != size_of::<i64>() + 2 * size_of::<i32>() {
            return Err("an interval has 16 bytes".into());
        }
        Ok(Self(Interval {
            micros: raw.get_i64(),
            days: raw.get_i32(),
            months: raw.get_i32(),
        }))
    }

    fn accepts(sql: &Type) -> bool {
        *sql == Type::INTERVAL
    }
}

/// Lower and upper bound; an empty range reads as two missing bounds, as in Spin.
#[derive(Debug)]
struct Range<T>(Bound<T>, Bound<T>);

const RANGE_EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;

fn element(range: &Type) -> Type {
    match *range {
        Type::INT4_RANGE => Type::INT4,
        Type::INT8_RANGE => Type::INT8,
        _ => Type::NUMERIC,
    }
}

fn put_bound<T: ToSql>(bound: &T, sql: &Type, out: &mut BytesMut) -> SqlResult<()> {
    let at = out.len();
    out.put_i32(0);
    bound.to_sql(sql, out)?;
    let length = i32::try_from(out.len() - at - size_of::<i32>())?;
    out[at..at + size_of::<i32>()].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn get_bound<T: for<'a> FromSql<'a>>(raw: &mut &[u8], sql: &Type) -> SqlResult<T> {
    if raw.remaining() < size_of::<i32>() {
        return Err("a range bound without length".into());
    }
    let length = usize::try_from(raw.get_i32())?;
    if raw.remaining() < length {
        return Err("a range bound that is cut off".into());
    }
    let (bound, rest) = raw.split_at(length);
    *raw = rest;
    T::from_sql(sql, bound)
}

impl<T: ToSql> ToSql for Range<T> {
    to_sql_checked!();

    fn to_sql(&self, sql: &Type, out: &mut BytesMut) -> SqlResult<IsNull> {
        let flag = |bound: &Bound<T>, inclusive, infinite| match bound {
            Some((_, RangeBoundKind::Inclusive)) => inclusive,
            Some((_, RangeBoundKind::Exclusive)) => 0,
            None => infinite,
        };
        out.put_u8(
            flag(&self.0, LOWER_INCLUSIVE, LOWER_INFINITE)
                | flag(&self.1, UPPER_INCLUSIVE, UPPER_INFINITE),
        );
        for (bound, _) in self.0.iter().chain(&self.1) {
            put_bound(bound, &element(sql), out)?;
        }
        Ok(IsNull::No)
    }

    fn accepts(sql: &Type) -> bool {
        matches!(*sql, Type::INT4_RANGE | Type::INT8_RANGE | Type::NUM_RANGE)
            && T::accepts(&element(sql))
    }
}

impl<T: for<'a> FromSql<'a>> FromSql<'_> for Range<T> {
    fn from_sql(sql: &Type, mut raw: &[u8]) -> SqlResult<Self> {
        if raw.is_empty() {
            return Err("a range without flags".into());
        }
        let flags = raw.get_u8();
        if flags & RANGE_EMPTY != 0 {
            return Ok(Self(None, None));
        }
        let mut bound = |inclusive, infinite| {
            if flags & infinite != 0 {
                return Ok(None);
            }
            let kind = if flags & inclusive != 0 {
                RangeBoundKind::Inclusive
            } else {
                RangeBoundKind::Exclusive
            };
            get_bound(&mut raw, &element(sql)).map(|value| Some((value, kind)))
        };
        Ok(Self(
            bound(LOWER_INCLUSIVE, LOWER_INFINITE)?,
            bound(UPPER_INCLUSIVE, UPPER_INFINITE)?,
        ))
    }

    fn accepts(sql: &Type) -> bool {
        matches!(*sql, Type::INT4_RANGE | Type::INT8_RANGE | Type::NUM_RANGE)
            && T::accepts(&element(sql))
    }
}
