"""An HL7 listener by python-hl7: prints its port, then each message as JSON.

It acknowledges with AA; a message whose MSH-11 is T with AE, and one whose MSH-11
is D not at all the first time.
"""

import asyncio
import json

from hl7.mllp import start_hl7_server

seen = {}


async def talk(reader, writer):
    try:
        message = await reader.readmessage()
    except asyncio.IncompleteReadError:
        writer.close()
        return
    control, processing = str(message["MSH"][0][10]), str(message["MSH"][0][11])
    seen[control] = seen.get(control, 0) + 1
    facts = {
        "control": control,
        "name": message.unescape(str(message.segment("PID")[5])),
        "accession": message.unescape(str(message.segment("OBR")[18])),
    }
    print(json.dumps(facts), flush=True)
    if processing != "D" or seen[control] > 1:
        writer.writemessage(message.create_ack(ack_code="AE" if processing == "T" else "AA"))
        await writer.drain()
    writer.close()


async def main():
    async with await start_hl7_server(talk, host="127.0.0.1", port=0, encoding="utf-8") as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
