"""Welcomes people, in Python: a client sends the plugin event `greet`, everybody on the server hears `welcome` with a number that goes up for
ever, and GET /api/plugins/route/welcome-py/ tells how many were welcomed and who came last."""

import functools
import json
import traceback

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.event_handler import Disposition_Consume, Disposition_Reject, Disposition_Relay
from wit_world.exports.meta import PluginInfo
from wit_world.imports import clock, events, kv, log, settings
from wit_world.imports.log import Level
from wit_world.imports.types import ErrorCode, PluginError

def told(work):
    """What is raised as Err is the error of the call; any other exception ends the instance, and is told first."""

    @functools.wraps(work)
    def call(*given):
        try:
            return work(*given)
        except Err:
            raise
        except Exception as error:
            # A formatted traceback quotes the source, and there are no files to read it from.
            lines = [f"{frame.f_code.co_name}:{line}" for frame, line in traceback.walk_tb(error.__traceback__)]
            log.write(Level.ERROR, f"{work.__name__}: {error!r}", json.dumps({"at": lines}))
            raise

    return call


class Meta(exports.Meta):
    def get_info(self):
        return PluginInfo(id="jackfield.welcome-py", version="0.1.0")


class Lifecycle(exports.Lifecycle):
    @told
    def activate(self, context):
        log.write(Level.INFO, "welcome is here", json.dumps({"language": "Python", "server": context.server_id}))

    def ready(self):
        pass

    def deactivate(self):
        pass

    def on_settings_changed(self, settings):
        pass

    def on_requirements_changed(self, server_id, snapshot):
        pass

    def on_data_changed(self, change):
        pass


class EventHandler(exports.EventHandler):
    @told
    def on_event(self, event):
        if event.event_name != "greet":
            return Disposition_Relay()
        name = json.loads(event.payload)["name"].strip()
        if not name:
            return Disposition_Reject("a name has letters")
        number = kv.add("welcomed", 1)
        kv.set("latest", json.dumps(name).encode())
        text = f"{json.loads(settings.get('greeting'))}, {name}!"
        events.publish(event.server_id, "welcome", json.dumps({"text": text, "number": number, "at": clock.now()}), None, None)
        log.write(Level.INFO, "welcomed somebody", json.dumps({"number": number}))
        return Disposition_Consume()

    def on_message(self, message):
        pass


class HttpHandler(exports.HttpHandler):
    @told
    def handle(self, request, body, answer):
        with body, answer:
            if request.method != "GET":
                raise Err(PluginError(ErrorCode.UNSUPPORTED, "only GET is answered here", None))
            welcomed, stored = kv.add("welcomed", 0), kv.get("latest")
            latest = None if stored is None else json.loads(stored)
            answer.start(200, [("content-type", b"application/json")])
            answer.write(json.dumps({"welcomed": welcomed, "latest": latest}).encode())
