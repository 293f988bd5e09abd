"""pynetdicom as the peer of our tests.

send HOST PORT FILE...   C-ECHO, then C-STORE of the files, each in its own transfer syntax
receive FOLDER           a storage SCP that also takes storage commitment: prints its port, stores what comes below
                         its SOP instance UID, and reports on an association of its own to the port in a commitment's
                         transaction UID ("1.2.PORT")
"""

import pathlib
import sys
import threading

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import MRImageStorage, StorageCommitmentPushModel, Verification

COMMITMENT = "1.2.840.10008.1.20.1.1"


def send(host: str, port: str, *files: str) -> None:
    ae = AE(ae_title="PYNETDICOM")
    ae.add_requested_context(Verification)
    for file in files:
        ae.add_requested_context(MRImageStorage, dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID)
    association = ae.associate(host, int(port), ae_title="NEUROTRIAGE")
    if not association.is_established:
        sys.exit("no association")
    print(f"echo {association.send_c_echo().Status:04X}")
    for file in files:
        print(f"store {association.send_c_store(dcmread(file)).Status:04X}")
    association.release()


def receive(folder: str) -> None:
    def store(event: evt.Event) -> int:
        name = pathlib.Path(folder, str(event.request.AffectedSOPInstanceUID) + ".dcm")
        name.write_bytes(event.encoded_dataset())
        return 0x0000

    def action(event: evt.Event) -> tuple[int, None]:
        threading.Thread(target=report, args=(folder, event.action_information)).start()
        return 0x0000, None

    ae = AE(ae_title="PYNETDICOM")
    ae.add_supported_context(Verification)
    ae.add_supported_context(MRImageStorage)
    ae.add_supported_context(StorageCommitmentPushModel)
    handlers = [(evt.EVT_C_STORE, store), (evt.EVT_N_ACTION, action)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    print(server.socket.getsockname()[1], flush=True)
    sys.stdin.read()  # until the test is over
    server.shutdown()


def report(folder: str, request: Dataset) -> None:
    answer = Dataset()
    answer.TransactionUID = request.TransactionUID
    answer.ReferencedSOPSequence, answer.FailedSOPSequence = [], []
    for item in request.ReferencedSOPSequence:
        if pathlib.Path(folder, item.ReferencedSOPInstanceUID + ".dcm").exists():
            answer.ReferencedSOPSequence.append(item)
        else:
            item.FailureReason = 0x0112
            answer.FailedSOPSequence.append(item)
    ae = AE(ae_title="PYNETDICOM")
    ae.add_requested_context(StorageCommitmentPushModel, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    port = int(request.TransactionUID.split(".")[-1])
    association = ae.associate("127.0.0.1", port, ext_neg=[role], ae_title="NEUROTRIAGE")
    kind = 2 if answer.FailedSOPSequence else 1
    association.send_n_event_report(answer, kind, StorageCommitmentPushModel, COMMITMENT)
    association.release()


if __name__ == "__main__":
    {"send": send, "receive": receive}[sys.argv[1]](*sys.argv[2:])
