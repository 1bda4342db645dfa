"""Cliente mínimo da API do WhatsApp (Cloud API)."""
import hashlib
import hmac
import os
from collections.abc import Iterator

import requests

GRAPH = os.environ.get("WHATSAPP_API_URL", "https://graph.facebook.com").rstrip("/")
ROTULOS = {"image": "📷 Foto", "audio": "🎤 Áudio", "video": "🎥 Vídeo", "document": "📄 Documento"}


class Recusado(Exception):
    """O WhatsApp não aceitou a mensagem, ou não respondeu."""


def envia(telefone: str, corpo: str) -> str:
    """Envia um texto e devolve o id que o WhatsApp lhe deu."""
    try:
        resposta = requests.post(
            f"{GRAPH}/v22.0/{os.environ['WHATSAPP_PHONE_NUMBER_ID']}/messages",
            headers={"Authorization": f"Bearer {os.environ['WHATSAPP_TOKEN']}"},
            json={
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                "to": telefone,
                "type": "text",
                "text": {"preview_url": False, "body": corpo},
            },
            timeout=20,
        )
        conteudo = resposta.json()
    except (requests.RequestException, ValueError) as problema:
        raise Recusado("sem resposta do WhatsApp") from problema
    if not resposta.ok:
        raise Recusado(conteudo.get("error", {}).get("message", f"erro {resposta.status_code}"))
    return conteudo["messages"][0]["id"]


def assinatura_confere(corpo: bytes, cabecalho: str | None) -> bool:
    segredo = os.environ["WHATSAPP_APP_SECRET"].encode()
    certa = hmac.new(segredo, corpo, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"sha256={certa}", cabecalho or "")


def recebidas(notificacao: dict) -> Iterator[tuple[dict, str | None]]:
    """As mensagens de uma notificação, cada uma com o nome de quem a mandou."""
    for entrada in notificacao.get("entry", []):
        for mudanca in entrada.get("changes", []):
            valor = mudanca["value"]
            nomes = {c["wa_id"]: c["profile"].get("name") for c in valor.get("contacts", []) if "wa_id" in c}
            for mensagem in valor.get("messages", []):
                if "from" in mensagem:
                    yield mensagem, nomes.get(mensagem["from"])


def corpo_de(mensagem: dict) -> str | None:
    if mensagem["type"] == "text":
        return mensagem["text"]["body"]
    return ROTULOS.get(mensagem["type"])
