//! `spin:variables`: the component's own variables, filled in at load.

use super::bindings::spin::variables::variables::{Error, Host, HostWithStore};
use crate::{store_data::StoreData, variables::check_name};
use wasmtime::component::{Accessor, HasSelf};

impl Host for StoreData {}

impl<T: Send + 'static> HostWithStore<T> for HasSelf<StoreData> {
    async fn get(
        store: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        if let Err(error) = check_name(&name) {
            return Ok(Err(Error::InvalidName(error.to_string())));
        }
        let value = store.with(|mut access| access.get().component.variables.get(&name).cloned());
        Ok(value
            .ok_or_else(|| Error::Undefined(format!("no variable `{name}` for this component"))))
    }
}
