"""Drives a running server with the published Python client (keyfactor-command-sdk), operation by operation.

usage: python_client.py URL ROOT_PEM ACCOUNT PASSWORD AGENT_NAME STORE_PATH REQUEST_PEM

Every operation of the server that the client knows is called through the client's own functions and models, and each answer is
checked: its status, that the client could read it, and the values that matter. Prints one line an operation; exits 1 at the first
that is not as it has to be.
"""

import base64
import importlib
import inspect
import json
import ssl
import sys
import time
import typing

import httpx
from command_v11_client.client import AuthenticatedClient, Client

URL, ROOT_PEM, ACCOUNT, PASSWORD, AGENT_NAME, STORE_PATH, REQUEST_PEM = sys.argv[1:8]
TIMESTAMP = "2026-11-21T12:00:00.000Z"
called = set()
# Answers that this client, made for version 11 of the API, cannot read, and why they stay as they are: newer clients need them so
# (docs/keyfactor-quirks.md). The operation itself is performed and its answer checked as JSON.
NAMES = "enumerations are names, as newer clients need them, and numbers in this client's models"
NULLS = "`InventorySchedule` is null where there is no schedule, and `ReenrollmentStatus` in the echo of a change"
BITS = "`AllowedEnrollmentTypes` is a set of bits, and this client's enumeration knows single ones only"
UNREADABLE = {
    "certificate_authority.get_certificate_authority": BITS,
    "certificate_authority.get_certificate_authority_id": BITS,
    "template.get_templates": NAMES,
    "template.get_templates_id": NAMES,
    "template.put_templates": NAMES,
    "certificate_store_type.get_certificate_store_types": NAMES,
    "certificate_store_type.get_certificate_store_types_id": NAMES,
    "certificate_store_type.get_certificate_store_types_name_name": NAMES,
    "certificate_store_type.post_certificate_store_types": NAMES,
    "certificate_store_type.put_certificate_store_types": NAMES,
    "certificate_store.get_certificate_stores": NULLS,
    "certificate_store.get_certificate_stores_id": NULLS,
    "certificate_store.post_certificate_stores": NULLS,
    "certificate_store.put_certificate_stores": NULLS,
}

basic = base64.b64encode(f"{ACCOUNT}:{PASSWORD}".encode()).decode()
client = Client(
    f"{URL}/KeyfactorAPI",
    headers={
        "Authorization": f"Basic {basic}",
        "x-keyfactor-requested-with": "APIClient",
        "x-certificateformat": "PEM",
    },
    verify_ssl=ssl.create_default_context(cafile=ROOT_PEM),
    timeout=httpx.Timeout(60.0),
    raise_on_unexpected_status=True,
)


def call(operation, *path, expect=200, body=None, **query):
    """Calls one operation of the client. `body` is a dictionary in the client's own names, or a list."""
    module = importlib.import_module(f"command_v11_client.api.{operation}")
    arguments = dict(query)
    if body is not None:
        model = typing.get_type_hints(module.sync_detailed)["json_body"]
        arguments["json_body"] = model.from_dict(body) if inspect.isclass(model) and hasattr(model, "from_dict") else body
    # What `sync_detailed` does, in its two halves, so that an answer which the client cannot read is told from a refusal.
    answer = client.get_httpx_client().request(**module._get_kwargs(*path, **arguments))
    if answer.status_code != expect:
        raise SystemExit(f"{operation}: {answer.status_code} instead of {expect}: {answer.content!r}")
    try:
        module._parse_response(client=client, response=answer)
    except Exception as error:  # whatever its generated models raise
        if operation not in UNREADABLE:
            raise SystemExit(f"{operation}: the client cannot read the answer: {error!r}: {answer.content!r}") from error
    called.add(operation)
    print(f"ok {operation}", flush=True)
    return json.loads(answer.content) if answer.content else None


def require(condition, what):
    if not condition:
        raise SystemExit(f"not as expected: {what}")


def until(what, question):
    """Asks until the answer is true; the agent works meanwhile."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = question()
        if found:
            return found
        time.sleep(0.1)
    raise SystemExit(f"never happened: {what}")


# Status
require("POST /CertificateStores/Certificates/Add" in call("status.get_status_endpoints"), "the five operations are listed")

# Agents: the one that waits is approved, disapproved, reset and approved again
agent = until(
    "the agent registers",
    lambda: call("agent.get_agents", query_string=f'ClientMachine -eq "{AGENT_NAME}"'),
)[0]
agent_id = agent["AgentId"]
require(agent["Status"] == 1, "a new agent waits")
call("agent.post_agents_disapprove", expect=204, body=[agent_id])
require(call("agent.get_agents_id", agent_id)["Status"] == 3, "disapproved")
call("agent.post_agents_reset", expect=204, body=[agent_id])
call("agent.post_agents_id_reset", agent_id, expect=204)
require(call("agent.get_agents_id", agent_id)["Status"] == 1, "reset")
call("agent.post_agents_approve", expect=204, body=[agent_id])

# Authorities and templates
authority = call("certificate_authority.get_certificate_authority")[0]
require(call("certificate_authority.get_certificate_authority_id", authority["Id"])["Id"] == authority["Id"], "the authority")
templates = call("template.get_templates")
plain = next(t for t in templates if t["CommonName"] == "WebServer")
held = next(t for t in templates if t["RequiresApproval"])
require(call("template.get_templates_id", plain["Id"])["CommonName"] == "WebServer", "the template")
other = next(t for t in templates if t["Id"] not in (plain["Id"], held["Id"]))
# The client's own enumerations know single enrollment types only, so the template of the later steps is left alone.
body = {"id": other["Id"], "friendlyName": "By request only", "allowedEnrollmentTypes": 2, "keyRetention": 1, "requiresApproval": False}
require(call("template.put_templates", body=body)["FriendlyName"] == "By request only", "the template's name")

# Enrollment: a request, a key made by the server, one that a manager approves, one that is denied
request = open(REQUEST_PEM, encoding="ascii").read()
common = {"certificateAuthority": "", "timestamp": TIMESTAMP, "includeChain": True}
issued = call("enrollment.post_enrollment_csr", body={**common, "csr": request, "template": "WebServer"})
information = issued["CertificateInformation"]
require("BEGIN CERTIFICATE" in information["Certificates"][0] and information["RequestDisposition"] == "ISSUED", "the certificate")
client = client.with_headers({"x-certificateformat": "PFX"})
made = call(
    "enrollment.post_enrollment_pfx",
    body={**common, "subject": "CN=sdk.example.org", "template": "WebServer", "password": "a-long-password-1", "saNs": {"dns": ["sdk.example.org"]}},
)["CertificateInformation"]
require(base64.b64decode(made["Pkcs12Blob"])[0] == 0x30, "a PKCS#12 file")
certificate_id = made["KeyfactorId"]


def waiting(name):
    answer = call(
        "enrollment.post_enrollment_pfx",
        body={**common, "subject": f"CN={name}", "template": held["CommonName"], "password": "a-long-password-1", "saNs": {"dns": [name]}},
    )["CertificateInformation"]
    require(answer["RequestDisposition"] == "PENDING", "it waits for approval")
    return answer["KeyfactorRequestId"]


first, second = waiting("held1.example.org"), waiting("held2.example.org")
require({first, second} <= {r["Id"] for r in call("workflow.get_workflow_certificates_pending")}, "both wait")
require(call("workflow.get_workflow_certificates_id", first)["State"] == 5, "pending")
approved = call("workflow.post_workflow_certificates_approve", body=[first, first, 999999])
require([s["KeyfactorRequestId"] for s in approved["Successes"]] == [first], "approved once")
require(len(approved["Failures"]) == 1 and not approved["Denials"], "the unknown one fails")
denied = call("workflow.post_workflow_certificates_deny", body={"certificateRequestIds": [second], "comment": "not needed"})
require([s["KeyfactorRequestId"] for s in denied["Successes"]] == [second], "denied")
require(second in {r["Id"] for r in call("workflow.get_workflow_certificates_denied")}, "listed as denied")
call("workflow.get_workflow_certificates_external_validation")

# Certificates
listed = call("certificate.get_certificates", query_string=f'CertID -eq "{certificate_id}"', include_locations=True, include_metadata=True, include_has_private_key=True)
require(len(listed) == 1 and listed[0]["HasPrivateKey"], "the certificate is listed with its key")
require(call("certificate.get_certificates_id", certificate_id)["Thumbprint"] == made["Thumbprint"], "the certificate")
require(call("certificate.get_certificates_id_history", certificate_id), "it has a history")
client = client.with_headers({"x-certificateformat": "PEM"})
downloaded = call("certificate.post_certificates_download", body={"certID": certificate_id, "includeChain": True})
require(b"BEGIN CERTIFICATE" in base64.b64decode(downloaded["Content"]), "PEM inside base64")

# Roles
roles = call("security_roles.get_security_roles")
require(any(r["Name"] == "Administrator" for r in roles), "the administrator's role")
role = call("security_roles.post_security_roles", body={"name": "Sdk operators", "description": "made by the client", "enabled": True, "private": False, "permissions": ["Certificates:Read"], "identities": []})
require(call("security_roles.get_security_roles_id", role["Id"])["Name"] == "Sdk operators", "the role")
role = call("security_roles.put_security_roles", body={"id": role["Id"], "name": "Sdk operators", "description": "changed", "enabled": True, "private": False, "permissions": ["Certificates:Read", "CertificateStoreManagement:Read"], "identities": []})
require(role["Description"] == "changed", "the role was changed")
call("security_roles.delete_security_roles_id", role["Id"], expect=204)

# Store types and containers
made_type = call(
    "certificate_store_type.post_certificate_store_types",
    body={
        "name": "Sdk type", "shortName": "SDKT", "capability": "SDKT", "localStore": False,
        "supportedOperations": {"add": True, "create": False, "discovery": False, "enrollment": False, "remove": True},
        "properties": [], "entryParameters": [], "passwordOptions": {"entrySupported": False, "storeRequired": False, "style": 0},
        "privateKeyAllowed": 1, "customAliasAllowed": 0, "serverRequired": False, "powerShell": False, "blueprintAllowed": False,
    },
)
type_id = made_type["StoreType"]
require(call("certificate_store_type.get_certificate_store_types_id", type_id)["ShortName"] == "SDKT", "the type")
require(call("certificate_store_type.get_certificate_store_types_name_name", "SDKT")[0]["StoreType"] == type_id, "the type by name")
require(any(t["ShortName"] == "PEM" for t in call("certificate_store_type.get_certificate_store_types")), "PEM ships")
body = {"storeType": type_id, "name": "Sdk type 2", "shortName": "SDKT", "capability": "SDKT",
        "supportedOperations": {"add": True, "create": False, "discovery": False, "enrollment": False, "remove": True},
        "properties": [], "passwordOptions": {"entrySupported": False, "storeRequired": False, "style": 0},
        "privateKeyAllowed": 1, "customAliasAllowed": 0}
require(call("certificate_store_type.put_certificate_store_types", body=body)["Name"] == "Sdk type 2", "the type was changed")
call("certificate_store_type.delete_certificate_store_types_id", type_id, expect=204)
container = call("certificate_store_container.post_certificate_store_containers", body={"name": "Sdk container", "overwriteSchedules": False, "certStoreType": 2})
require(call("certificate_store_container.get_certificate_store_containers_id", container["Id"])["Name"] == "Sdk container", "the container")
require(any(c["Id"] == container["Id"] for c in call("certificate_store_container.get_certificate_store_containers")), "it is listed")
changed = call("certificate_store_container.put_certificate_store_containers", body={"id": container["Id"], "name": "Sdk machines", "overwriteSchedules": False, "certStoreType": 2})
require(changed["Name"] == "Sdk machines", "the container was changed")

# A store, and the main job
approved_agent = until(
    "the agent has its certificate",
    lambda: call("agent.get_agents_id", agent_id)["Thumbprint"],
)
store = call(
    "certificate_store.post_certificate_stores",
    body={"containerId": container["Id"], "clientMachine": AGENT_NAME, "storepath": STORE_PATH, "certStoreType": 2, "createIfMissing": False,
          "properties": "{}", "agentId": agent_id, "agentAssigned": True},
)
store_id = store["Id"]
require(call("certificate_store.get_certificate_stores_id", store_id)["Storepath"] == STORE_PATH, "the store")
require(len(call("certificate_store.get_certificate_stores", query_string=f'StorePath -eq "{STORE_PATH}"')) == 1, "the store is listed")
call("certificate_store.put_certificate_stores", body={"id": store_id, "containerId": 0, "properties": "{}", "agentId": agent_id})
call("certificate_store.post_certificate_stores_schedule", expect=204, body={"storeIds": [store_id], "schedule": {"interval": {"minutes": 60}}})
require(call("certificate_store.get_certificate_stores_id", store_id)["InventorySchedule"]["Interval"]["Minutes"] == 60, "the schedule")


def history(job):
    found = call("orchestrator_job.get_orchestrator_jobs_job_history", query_string=f'JobId -eq "{job}"')
    return found if found and found[0]["Status"] == 3 else None


add = {"certificateId": certificate_id, "certificateStores": [{"certificateStoreId": store_id, "includePrivateKey": True, "overwrite": True}], "schedule": {"immediate": True}}
[job] = call("certificate_store.post_certificate_stores_certificates_add", body=add)
done = until("the job is done", lambda: history(job))
require(done[0]["Result"] == 2, f"success: {done}")
inventory = until("the inventory shows it", lambda: call("certificate_store.get_certificate_stores_id_inventory", store_id))
require(inventory[0]["Certificates"][0]["Id"] == certificate_id, "the store holds the certificate")
alias = inventory[0]["Name"]
renewed = call("enrollment.post_enrollment_renew", body={"certificateId": certificate_id, "timestamp": TIMESTAMP})
require(renewed["KeyfactorId"] != certificate_id and renewed["RequestDisposition"] == "ISSUED", "renewed")
[job] = call("certificate_store.post_certificate_stores_certificates_remove", body={"certificateStores": [{"certificateStoreId": store_id, "alias": alias}], "schedule": {"immediate": True}})
require(until("the removal is done", lambda: history(job))[0]["Result"] == 2, "removed")
until("the store is empty", lambda: call("certificate_store.get_certificate_stores_id_inventory", store_id) == [])

# Jobs: one that waits is unscheduled; a warning is acknowledged; a failure would be rescheduled
later = {**add, "schedule": {"exactlyOnce": {"time": "2099-01-01T00:00:00Z"}}}
[job] = call("certificate_store.post_certificate_stores_certificates_add", body=later)
require(any(j["Id"] == job for j in call("orchestrator_job.get_orchestrator_jobs_scheduled_jobs")), "the job waits")
call("orchestrator_job.post_orchestrator_jobs_unschedule", expect=204, body={"jobIds": [job]})
require(not any(j["Id"] == job for j in call("orchestrator_job.get_orchestrator_jobs_scheduled_jobs")), "it waits no more")
[job] = call("certificate_store.post_certificate_stores_certificates_remove", body={"certificateStores": [{"certificateStoreId": store_id, "alias": alias}], "schedule": {"immediate": True}})
warned = until("the removal of what is absent is done", lambda: history(job))[0]
require(warned["Result"] == 3, "removing what is absent is a warning")
call("orchestrator_job.post_orchestrator_jobs_acknowledge", expect=204, body={"jobAuditIds": [warned["JobHistoryId"]]})
refused = {**add, "certificateStores": [{"certificateStoreId": store_id, "includePrivateKey": True, "overwrite": True}]}
[job] = call("certificate_store.post_certificate_stores_certificates_add", body=refused)
until("a last deployment", lambda: history(job))
call("certificate_store.delete_certificate_stores_id", store_id, expect=204)
call("certificate_store.delete_certificate_stores", expect=204, body=[store_id])
call("certificate_store_container.delete_certificate_store_containers_id", container["Id"], expect=204)

print(f"{len(called)} operations of the client were called")
