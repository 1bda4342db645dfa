"""What Meta's refusals mean to an attendant, in Brazilian Portuguese, by code.

Source of the codes: Meta's "Error codes" page of the WhatsApp Cloud API.
"""

from __future__ import annotations

#: The outcome of a send is not known: it may have reached the customer or not.
UNCONFIRMED = "unconfirmed"
#: WhatsApp could not be reached: it was certainly not sent.
UNREACHABLE = "unreachable"

_TEXTS = {
    UNCONFIRMED: "Não sabemos se esta mensagem chegou ao WhatsApp. Se enviar de novo, o cliente "
    "pode recebê-la duas vezes.",
    UNREACHABLE: "Não foi possível falar com o WhatsApp. A mensagem não foi enviada.",
    "0": "O WhatsApp não aceitou o token de acesso. Avise o responsável pelo sistema.",
    "3": "O aplicativo não tem permissão para esta operação. Avise o responsável pelo sistema.",
    "10": "O aplicativo não tem permissão para enviar mensagens. Avise o responsável pelo sistema.",
    "190": "O token de acesso do WhatsApp expirou. Avise o responsável pelo sistema.",
    "200": "O aplicativo não tem permissão para enviar mensagens. Avise o responsável pelo "
    "sistema.",
    "1": "O WhatsApp está com um problema temporário. Tente de novo em alguns minutos.",
    "2": "O WhatsApp está temporariamente fora do ar. Tente de novo em alguns minutos.",
    "4": "Muitas chamadas ao WhatsApp em pouco tempo. Espere um pouco e tente de novo.",
    "33": "O número da empresa não existe mais no WhatsApp. Avise o responsável pelo sistema.",
    "100": "O WhatsApp não entendeu o envio: algum dado está incorreto.",
    "368": "A conta da empresa está bloqueada por violar as políticas do WhatsApp.",
    "80007": "A conta atingiu o limite de envios. Espere um pouco e tente de novo.",
    "130429": "Muitas mensagens em pouco tempo. Espere um pouco e tente de novo.",
    "130472": "O WhatsApp não entregou: o número do cliente faz parte de um experimento da Meta.",
    "130497": "A conta da empresa não pode enviar mensagens para o país deste cliente.",
    "131000": "O WhatsApp falhou por um motivo desconhecido. Tente de novo.",
    "131005": "O aplicativo não tem permissão para isto. Avise o responsável pelo sistema.",
    "131008": "Falta um dado obrigatório no envio.",
    "131009": "Um dos dados do envio não é válido.",
    "131016": "O serviço do WhatsApp está temporariamente fora do ar. Tente de novo.",
    "131021": "Não é possível enviar mensagens para o próprio número da empresa.",
    "131026": "Não foi possível entregar: o cliente pode não ter WhatsApp, usar uma versão antiga "
    "ou não ter aceitado os termos.",
    "131030": "O número do cliente não está na lista permitida desta conta de teste.",
    "131031": "A conta da empresa foi bloqueada pelo WhatsApp.",
    "131042": "Há um problema com o pagamento da conta do WhatsApp.",
    "131045": "O número da empresa não está registrado no WhatsApp.",
    "131047": "Passaram mais de 24 horas desde a última mensagem do cliente. Só é possível enviar "
    "um modelo aprovado.",
    "131048": "O número da empresa está limitado por denúncias de spam.",
    "131049": "O WhatsApp não entregou para não sobrecarregar o cliente com mensagens de empresas.",
    "131050": "O cliente não quer receber mensagens de marketing desta empresa.",
    "131051": "O WhatsApp não aceita este tipo de mensagem.",
    "131052": "Não foi possível baixar o arquivo do cliente.",
    "131053": "Não foi possível enviar o arquivo: o formato ou o tamanho não é aceito.",
    "131056": "Muitas mensagens para este cliente em pouco tempo. Espere um pouco e tente de novo.",
    "131057": "A conta do WhatsApp está em manutenção. Tente de novo mais tarde.",
    "133010": "O número da empresa não está registrado no WhatsApp.",
}


def explain(code: str) -> str:
    """What to tell the attendant about this error.

    Args:
        code: Meta's error code as text, or `UNCONFIRMED` or `UNREACHABLE`.
    """
    return _TEXTS.get(code, f"O WhatsApp recusou a mensagem (erro {code}).")
