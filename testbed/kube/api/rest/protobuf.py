"""Kubernetes' protobuf as far as clients need it: the objects that `kubectl create` makes of arguments.

kubectl (client-go) from 1.32 on sends these in protobuf and does not fall back to JSON. Numbers and types of
fields are those of k8s.io/api and k8s.io/apimachinery, `generated.proto`; only the messages below are known. What
is not among them is an error and never lost. Knows the encoding; knows no rule about objects.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from testbed.kube.api.rest import status

MAGIC = b"k8s\x00"  # k8s.io/apimachinery/pkg/runtime/serializer/protobuf

# NAME:TYPE=NUMBER; `[]` is a list, `*` a pointer in Go, whose zero means something and is kept. `unread` is what a
# server takes no notice of when an object comes in.
_MESSAGES = {
    "Unknown": "typeMeta:TypeMeta=1 raw:bytes=2 contentEncoding:string=3 contentType:string=4",
    "TypeMeta": "apiVersion:string=1 kind:string=2",
    "Entry": "key:string=1 value:string=2",
    "BytesEntry": "key:string=1 value:bytes=2",
    "Time": "seconds:int64=1 nanos:int32=2",
    "IntOrString": "type:int64=1 intVal:int32=2 strVal:string=3",
    "Nothing": "",
    "ObjectMeta": "name:string=1 generateName:string=2 namespace:string=3 selfLink:unread=4 uid:string=5 "
    "resourceVersion:string=6 generation:int64=7 creationTimestamp:Time=8 labels:Entry[]=11 "
    "annotations:Entry[]=12 finalizers:string[]=14 managedFields:unread[]=17",
    "Namespace": "metadata:ObjectMeta=1 spec:NamespaceSpec=2 status:unread=3",
    "NamespaceSpec": "finalizers:string[]=1",
    "ConfigMap": "metadata:ObjectMeta=1 data:Entry[]=2 binaryData:BytesEntry[]=3 immutable:bool*=4",
    "Secret": "metadata:ObjectMeta=1 data:BytesEntry[]=2 type:string=3 stringData:Entry[]=4 immutable:bool*=5",
    "Service": "metadata:ObjectMeta=1 spec:ServiceSpec=2 status:unread=3",
    "ServiceSpec": "ports:ServicePort[]=1 selector:Entry[]=2 clusterIP:string=3 type:string=4 "
    "externalIPs:string[]=5 sessionAffinity:string=7 loadBalancerIP:string=8 "
    "loadBalancerSourceRanges:string[]=9 externalName:string=10 externalTrafficPolicy:string=11 "
    "healthCheckNodePort:int32=12 publishNotReadyAddresses:bool=13 "
    "sessionAffinityConfig:SessionAffinityConfig=14 ipFamilyPolicy:string*=17 clusterIPs:string[]=18 "
    "ipFamilies:string[]=19 allocateLoadBalancerNodePorts:bool*=20 loadBalancerClass:string*=21 "
    "internalTrafficPolicy:string*=22 trafficDistribution:string*=23",
    "SessionAffinityConfig": "clientIP:ClientIPConfig=1",
    "ClientIPConfig": "timeoutSeconds:int32*=1",
    "ServicePort": "name:string=1 protocol:string=2 port:int32=3 targetPort:IntOrString=4 nodePort:int32=5 "
    "appProtocol:string*=6",
    "Deployment": "metadata:ObjectMeta=1 spec:DeploymentSpec=2 status:unread=3",
    "DeploymentSpec": "replicas:int32*=1 selector:LabelSelector=2 template:PodTemplateSpec=3 "
    "strategy:DeploymentStrategy=4 minReadySeconds:int32=5 revisionHistoryLimit:int32*=6 paused:bool=7 "
    "progressDeadlineSeconds:int32*=9",
    "LabelSelector": "matchLabels:Entry[]=1 matchExpressions:LabelSelectorRequirement[]=2",
    "LabelSelectorRequirement": "key:string=1 operator:string=2 values:string[]=3",
    "DeploymentStrategy": "type:string=1 rollingUpdate:RollingUpdateDeployment=2",
    "RollingUpdateDeployment": "maxUnavailable:IntOrString=1 maxSurge:IntOrString=2",
    "PodTemplateSpec": "metadata:ObjectMeta=1 spec:PodSpec=2",
    "PodSpec": "containers:Container[]=2 restartPolicy:string=3 terminationGracePeriodSeconds:int64*=4 "
    "dnsPolicy:string=6 nodeSelector:Entry[]=7 serviceAccountName:string=8 serviceAccount:string=9 "
    "nodeName:string=10 hostNetwork:bool=11 hostPID:bool=12 hostIPC:bool=13 securityContext:Nothing=14 "
    "hostname:string=16 subdomain:string=17 schedulerName:string=19 priorityClassName:string=24",
    "Container": "name:string=1 image:string=2 command:string[]=3 args:string[]=4 workingDir:string=5 "
    "ports:ContainerPort[]=6 env:EnvVar[]=7 resources:Nothing=8 terminationMessagePath:string=13 "
    "imagePullPolicy:string=14 stdin:bool=16 stdinOnce:bool=17 tty:bool=18 terminationMessagePolicy:string=20",
    "ContainerPort": "name:string=1 hostPort:int32=2 containerPort:int32=3 protocol:string=4 hostIP:string=5",
    "EnvVar": "name:string=1 value:string=2",
}
KINDS = ("Namespace", "ConfigMap", "Secret", "Service", "Deployment")


def decoded(data: bytes) -> dict[str, Any]:
    """The object of a request's body, as JSON. Raises StatusError if it is damaged or has what is not known."""
    if not data.startswith(MAGIC):
        raise status.bad_request("the object provided is unrecognized: no protobuf of Kubernetes")
    try:
        outer = _parsed("Unknown", data[len(MAGIC) :])
        api_version, kind = _text(outer.typeMeta.apiVersion), _text(outer.typeMeta.kind)
        if kind not in KINDS:
            raise status.unread_protobuf(kind)
        return {"apiVersion": api_version, "kind": kind, **_object(_parsed(kind, outer.raw))}
    except DecodeError as error:
        raise status.bad_request(f"the object provided is unrecognized: {error}") from error


def _parsed(name: str, data: bytes) -> Any:
    message = _CLASSES[name]()
    message.ParseFromString(data)
    return message


def _object(message: Message) -> dict[str, Any]:
    """A message as JSON: what is empty and no pointer is left out, as Go's omitempty does."""
    unknown = UnknownFieldSet(message)
    if len(unknown):
        raise status.unread_protobuf(f"field {unknown[0].field_number} of {message.DESCRIPTOR.name}")
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        kind, pointer = _FIELDS[message.DESCRIPTOR.name][field.name]
        told = _value(kind.removesuffix("[]"), value, many=kind.endswith("[]"))
        if kind not in ("unread", "unread[]") and (pointer or told not in ("", 0, None, {}, [])):
            found[field.name] = told
    return found


def _value(kind: str, value: Any, *, many: bool) -> Any:
    if kind in ("Entry", "BytesEntry"):
        of_value = "bytes" if kind == "BytesEntry" else "string"
        return {_text(entry.key): _value(of_value, entry.value, many=False) for entry in value}
    if many:
        return [_value(kind, item, many=False) for item in value]
    convert = _CONVERSIONS.get(kind)
    if convert is not None:
        return convert(value)
    return _object(value) if isinstance(value, Message) else value


def _text(value: str | bytes) -> str:
    """Text as it is; the library hands out bytes where they are no UTF-8."""
    if isinstance(value, bytes):
        raise status.bad_request("the object provided is unrecognized: a string is no UTF-8")
    return value


def _time(value: Any) -> str | None:
    """RFC 3339 in whole seconds, as JSON has it; a Time without anything is none."""
    if not value.seconds:
        return None
    try:
        moment = datetime.datetime.fromtimestamp(value.seconds, datetime.UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise status.bad_request(f"the object provided is unrecognized: time {value.seconds}") from error
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _int_or_string(value: Any) -> int | str:
    """k8s.io/apimachinery/pkg/util/intstr: type 1 is a string."""
    return _text(value.strVal) if value.type else int(value.intVal)


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "string": _text,
    "bytes": lambda value: base64.b64encode(value).decode(),
    "unread": lambda _: None,
    "Time": _time,
    "IntOrString": _int_or_string,
}


def _split(text: str) -> tuple[str, str, bool, int]:
    name, rest = text.split(":")
    kind, number = rest.split("=")
    return name, kind.removesuffix("*"), kind.endswith("*"), int(number)


def _classes() -> dict[str, type[Message]]:
    """A class for each message of the table, in a pool of their own."""
    file = descriptor_pb2.FileDescriptorProto(name="kubernetes.proto", package="k8s", syntax="proto2")
    of = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "string": of.TYPE_STRING,
        "bytes": of.TYPE_BYTES,
        "bool": of.TYPE_BOOL,
        "unread": of.TYPE_BYTES,
    }
    scalars |= {"int32": of.TYPE_INT32, "int64": of.TYPE_INT64}
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, kind, _, number in map(_split, fields.split()):
            label = of.LABEL_REPEATED if kind.endswith("[]") else of.LABEL_OPTIONAL
            scalar = scalars.get(kind.removesuffix("[]"))
            added = message.field.add(name=field, number=number, label=label, type=scalar or of.TYPE_MESSAGE)
            if scalar is None:
                added.type_name = f".k8s.{kind.removesuffix('[]')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"k8s.{name}")) for name in _MESSAGES
    }


_CLASSES = _classes()
_FIELDS = {
    name: {field: (kind, pointer) for field, kind, pointer, _ in map(_split, fields.split())}
    for name, fields in _MESSAGES.items()
}
