//! Imports for HTTP: bodies of requests on the plugin's route, and requests to other machines.

use super::{StoreData, error};
use crate::{
    bindings::jackfield::plugin::{
        http_body, http_client,
        types::{ErrorCode, PluginError},
    },
    dispatch::body::{BodyError, BodyReader, BodyWriter},
};
use wasmtime::component::Resource;

fn failed(failed: BodyError) -> PluginError {
    let code = match failed {
        BodyError::TooLarge(_) => ErrorCode::TooLarge,
        BodyError::Gone => ErrorCode::Unavailable,
        BodyError::Slow(_) => ErrorCode::Timeout,
        BodyError::Bad(_) => ErrorCode::InvalidArgument,
        BodyError::Begun => ErrorCode::Conflict,
    };
    error(code, failed.to_string())
}

impl http_body::Host for StoreData {}

impl http_body::HostReader for StoreData {
    async fn read(
        &mut self,
        reader: Resource<BodyReader>,
        bytes_max: u32,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, PluginError>> {
        let piece = self.table.get_mut(&reader)?.read(bytes_max as usize);
        Ok(Ok(piece.map(Vec::from)))
    }

    async fn drop(&mut self, reader: Resource<BodyReader>) -> wasmtime::Result<()> {
        // A handle that outlived its call stands for nothing any more.
        let _ = self.table.delete(reader);
        Ok(())
    }
}

impl http_body::HostWriter for StoreData {
    async fn start(
        &mut self,
        writer: Resource<BodyWriter>,
        status: u16,
        headers: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<(), PluginError>> {
        Ok(self
            .table
            .get_mut(&writer)?
            .start(status, headers)
            .map_err(failed))
    }

    async fn write(
        &mut self,
        writer: Resource<BodyWriter>,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Result<(), PluginError>> {
        let _clients_time = self.clock.pause();
        Ok(self
            .table
            .get_mut(&writer)?
            .write(bytes)
            .await
            .map_err(failed))
    }

    async fn drop(&mut self, writer: Resource<BodyWriter>) -> wasmtime::Result<()> {
        // A handle that outlived its call stands for nothing any more.
        let _ = self.table.delete(writer);
        Ok(())
    }
}

impl http_client::Host for StoreData {
    async fn fetch(
        &mut self,
        request: http_client::Request,
    ) -> wasmtime::Result<Result<http_client::Response, PluginError>> {
        let shared = self.shared.clone();
        if let Err(refused) = self.charge_call() {
            return Ok(Err(refused));
        }
        let fetched = shared.fetcher.fetch(&shared, request).await;
        Ok(fetched.map_err(|error| self.refused(error)))
    }

    async fn submit(
        &mut self,
        request: http_client::Request,
    ) -> wasmtime::Result<Result<String, PluginError>> {
        if let Err(refused) = self.charge_call() {
            return Ok(Err(refused));
        }
        let submitted = self.shared.fetcher.submit(
            &self.shared,
            self.scope.clone(),
            self.number,
            self.hops,
            request,
        );
        Ok(submitted.map_err(|error| self.refused(error)))
    }
}
