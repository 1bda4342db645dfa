"""Why a file is not sent, in the words that its sender reads."""

from __future__ import annotations


class Refused(Exception):  # noqa: N818 - it names what happened
    """This file cannot be sent so; `code` is one of `WORDS`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


_AS_DOCUMENT = "Envie como documento."

WORDS = {
    "animated_sticker": (
        "Uma figurinha animada precisa ser WebP de 512 × 512 pixels e ter até 500 KB."
    ),
    "damaged": "O arquivo está danificado ou incompleto.",
    "empty": "O arquivo está vazio.",
    "heic": (
        "Fotos HEIC não podem ser convertidas aqui. Salve como JPEG (no iPhone: Ajustes › Câmera › "
        "Formatos › Mais Compatível)."
    ),
    "long_animation": "A imagem animada é longa demais para virar vídeo.",
    "not_an_image": f"Este arquivo não é uma imagem que o WhatsApp aceite. {_AS_DOCUMENT}",
    "not_audio": f"Este arquivo não é um áudio que o WhatsApp aceite. {_AS_DOCUMENT}",
    "not_video": (
        "O WhatsApp só aceita vídeos MP4 ou 3GP com imagem H.264 e som AAC. Um MP4 também pode ir "
        "como documento."
    ),
    "not_a_document": (
        "O WhatsApp não aceita documentos deste tipo. Aceita PDF, Word, Excel, PowerPoint, texto, "
        "fotos JPEG e PNG, vídeos MP4 e áudios."
    ),
    "not_a_sticker": "Este arquivo não pode virar figurinha.",
    "sticker_too_large": "Esta figurinha passa de 100 KB mesmo comprimida.",
    "too_long_recording": "A gravação é longa demais.",
    "too_many_pixels": f"A imagem tem pixels demais para ser convertida. {_AS_DOCUMENT}",
    "too_slow": f"O arquivo levou tempo demais para ser convertido. {_AS_DOCUMENT}",
}
