//! The deeds that use stores. Orders are JSON: `{"database"|"address": name, "statements": [[sql, [parameter, ...]], ...]}`.

use anyhow::{Context, Result, bail};
use serde_json::{Value as Json, json};
use spin_sdk::{
    http::{Method, Request, body::IncomingBodyExt},
    key_value,
    pg::{self, DbValue, Interval, ParameterValue, RangeBoundKind},
    sqlite::{Connection, Value},
};

/// GET, PUT, DELETE a key; POST lists the keys. Header `x-store` names the store.
pub(crate) async fn key_value(request: Request) -> Result<Json> {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let label = header("x-store").unwrap_or_else(|| "default".to_owned());
    let key = header("x-key").unwrap_or_default();
    let store = match key_value::Store::open(&label).await {
        Ok(store) => store,
        Err(error) => return Ok(json!({ "error": format!("{error:?}") })),
    };
    let result = match *request.method() {
        Method::GET => {
            let exists = store.exists(&key).await?;
            let value = store
                .get(&key)
                .await?
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            json!({ "exists": exists, "value": value })
        }
        Method::PUT => match store.set(&key, request.into_body().bytes().await?).await {
            Ok(()) => json!(null),
            Err(error) => json!({ "error": format!("{error:?}") }),
        },
        Method::DELETE => json!(store.delete(&key).await.is_ok()),
        _ => json!(store.get_keys().await.collect().await?),
    };
    Ok(result)
}

/// Runs statements on one connection; each result is `{"columns","rows","changes","rowid"}` or `{"error"}`.
pub(crate) async fn sqlite(order: &[u8]) -> Result<Json> {
    let order: Json = serde_json::from_slice(order)?;
    let database = order["database"].as_str().unwrap_or("default");
    let connection = match Connection::open(database).await {
        Ok(connection) => connection,
        Err(error) => return Ok(json!({ "error": format!("{error:?}") })),
    };
    let mut results = Vec::new();
    for statement in order["statements"].as_array().context("statements")? {
        let sql = statement[0].as_str().context("sql")?;
        let parameters = statement[1]
            .as_array()
            .into_iter()
            .flatten()
            .map(sqlite_value);
        let result = match connection
            .execute(sql, parameters.collect::<Vec<_>>())
            .await
        {
            Ok(result) => {
                let columns = result.columns().to_vec();
                result.collect().await.map(|rows| (columns, rows))
            }
            Err(error) => Err(error),
        };
        results.push(match result {
            Ok((columns, rows)) => {
                let rows: Vec<Vec<Json>> = rows
                    .into_iter()
                    .map(|row| row.values.iter().map(sqlite_json).collect())
                    .collect();
                let (changes, rowid) = (
                    connection.changes().await,
                    connection.last_insert_rowid().await,
                );
                json!({ "columns": columns, "rows": rows, "changes": changes, "rowid": rowid })
            }
            Err(error) => json!({ "error": format!("{error:?}") }),
        });
    }
    Ok(json!(results))
}

fn sqlite_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Integer(i64::from(*value)),
        Json::Number(number) => number.as_i64().map_or_else(
            || Value::Real(number.as_f64().unwrap_or_default()),
            Value::Integer,
        ),
        Json::String(text) => Value::Text(text.clone()),
        other => Value::Blob(other.to_string().into_bytes()),
    }
}

fn sqlite_json(value: &Value) -> Json {
    match value {
        Value::Integer(integer) => json!(integer),
        Value::Real(real) => json!(real),
        Value::Text(text) => json!(text),
        Value::Blob(blob) => json!({ "blob": blob }),
        Value::Null => Json::Null,
    }
}

/// Runs statements on one connection. `["execute", sql, ...]` counts rows, `["query", sql, ...]` lists them; parameters are names of
/// samples (see [`sample`]).
pub(crate) async fn postgres(order: &[u8]) -> Result<Json> {
    let order: Json = serde_json::from_slice(order)?;
    let connection = match pg::Connection::open(order["address"].as_str().context("address")?).await
    {
        Ok(connection) => connection,
        Err(error) => return Ok(json!({ "error": format!("{error:?}") })),
    };
    let mut results = Vec::new();
    for statement in order["statements"].as_array().context("statements")? {
        let (kind, sql) = (
            statement[0].as_str().context("kind")?,
            statement[1].as_str().context("sql")?,
        );
        let names = statement[2]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str);
        let parameters = names.map(sample).collect::<Result<Vec<_>>>()?;
        let result = if kind == "execute" {
            connection
                .execute(sql, parameters)
                .await
                .map(|count| json!(count))
        } else {
            query(&connection, sql, parameters).await
        };
        results.push(result.unwrap_or_else(|error| json!({ "error": format!("{error:?}") })));
    }
    Ok(json!(results))
}

async fn query(
    connection: &pg::Connection,
    sql: &str,
    parameters: Vec<ParameterValue>,
) -> Result<Json, pg::Error> {
    let mut result = connection.query(sql, parameters).await?;
    let columns: Vec<String> = result
        .columns()
        .iter()
        .map(|column| format!("{}: {:?}", column.name, column.data_type))
        .collect();
    let mut rows = Vec::new();
    while let Some(row) = result.rows().next().await {
        rows.push(
            row.iter()
                .map(|value: &DbValue| format!("{value:?}"))
                .collect::<Vec<_>>(),
        );
    }
    result.result().await?;
    Ok(json!({ "columns": columns, "rows": rows }))
}

/// One parameter of each type.
fn sample(name: &str) -> Result<ParameterValue> {
    let inclusive = RangeBoundKind::Inclusive;
    Ok(match name {
        "bool" => ParameterValue::Boolean(true),
        "int16" => ParameterValue::Int16(-2),
        "int32" => ParameterValue::Int32(-3),
        "int64" => ParameterValue::Int64(i64::MIN),
        "float32" => ParameterValue::Floating32(1.5),
        "float64" => ParameterValue::Floating64(-2.25),
        "text" => ParameterValue::Str("grüße".to_owned()),
        "binary" => ParameterValue::Binary(vec![0, 255]),
        "date" => ParameterValue::Date((2026, 2, 28)),
        "time" => ParameterValue::Time((23, 59, 58, 123_456_000)),
        "datetime" => ParameterValue::Datetime((2026, 2, 28, 23, 59, 58, 123_456_000)),
        "timestamp" => ParameterValue::Timestamp(1_700_000_000),
        "uuid" => ParameterValue::Uuid("6f9619ff-8b86-d011-b42d-00c04fc964ff".to_owned()),
        "jsonb" => ParameterValue::Jsonb(br#"{"a": [1, null]}"#.to_vec()),
        "bad-json" => ParameterValue::Jsonb(b"{".to_vec()),
        "decimal" => ParameterValue::Decimal("-12345678901234567890.125".to_owned()),
        "range32" => ParameterValue::RangeInt32((Some((1, inclusive)), None)),
        "range64" => ParameterValue::RangeInt64((None, Some((9, RangeBoundKind::Exclusive)))),
        "range-decimal" => ParameterValue::RangeDecimal((
            Some(("1.5".to_owned(), inclusive)),
            Some(("2".to_owned(), inclusive)),
        )),
        "array32" => ParameterValue::ArrayInt32(vec![Some(1), None]),
        "array64" => ParameterValue::ArrayInt64(vec![Some(-1), None]),
        "array-decimal" => ParameterValue::ArrayDecimal(vec![Some("0.50".to_owned()), None]),
        "array-text" => ParameterValue::ArrayStr(vec![Some("a".to_owned()), None]),
        "interval" => ParameterValue::Interval(Interval {
            micros: 5,
            days: 6,
            months: 7,
        }),
        "null" => ParameterValue::DbNull,
        other => bail!("no sample {other}"),
    })
}
